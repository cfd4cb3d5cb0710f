"""A diagnostic over layers: python -m experiments.layers --workdir=DIR --diagnostic=grad_rms [--where=depth=24]
[--group_by=wiring] [--facet=depth] [--kind=map|profile] [--out=FIGURE.(png|pdf|svg)]

map: layer by step, one panel per arm, the mean over seeds at the arm's best learning rate (or whatever the sweep
retunes), from the chunk on in which a seed went bad nothing. profile: over layers at the last step, mean and 95 % t
band, one line per arm. A diagnostic is a column of layers.parquet: grad_rms, attention.stream_rms, ffn_0.branch_rms
and so on; a wrong name is answered with those there are. Without --out, tables in the terminal.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments import records
from experiments.command import Parser, picture_path, run, writing
from experiments.figures.depths import KINDS, make
from flax_tx.errors import together


def main(argv: Sequence[str]) -> None:
    """Draws the diagnostic of --workdir into --out, or into the terminal."""
    parser = Parser("experiments.layers", __doc__)
    parser.add_argument("--out", type=Path, help="the picture; without it, tables in the terminal")
    parser.add_argument("--diagnostic", required=True, help="a column of layers.parquet")
    parser.add_argument("--kind", default="map", help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--where", default="", help="field=value|value,... : which cells")
    parser.add_argument("--group_by", help="fields that arms differ in; default: the rows of the sweep's table")
    parser.add_argument("--facet", help="fields that panels differ in; default: the columns of the sweep's table")
    flags = vars(parser.parse_args(argv))
    out, workdir, column = (flags.pop(name) for name in ("out", "workdir", "diagnostic"))
    shown, _ = together(partial(make, workdir, column, **flags), partial(picture_path, out))
    if out is None:
        from experiments.figures import shades

        shades.show(shades.layers(shown) if flags["kind"] == "map" else shades.profile(shown))
        return
    from experiments.figures import maps, page  # matplotlib is slow to import; a mistake above need not wait for it

    drawn = maps.layers(shown) if flags["kind"] == "map" else maps.profile(shown)
    with writing(out):
        records.write_bytes(out, page.encode(drawn, out.suffix[1:]))
    print(out)


if __name__ == "__main__":
    run(main)
