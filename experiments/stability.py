"""What trains, as a map: python -m experiments.stability --workdir=DIR [--where=norm=rmsnorm] [--metric=val_loss]
[--x=depth] [--y=lr] [--facet=wiring] [--out=FIGURE.(png|pdf|svg)]

Learning rate by depth, one panel per wiring, or whatever the sweep's table retunes, has as columns and as rows. A
square is a mean over seeds only where every seed trained; else it says how many did not, and why. The best rate of
every column is framed. Without --out, the map in the terminal.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments import records
from experiments.command import Parser, picture_path, run, writing
from experiments.figures.stability import make
from flax_tx.errors import together


def main(argv: Sequence[str]) -> None:
    """Draws the map of --workdir into --out, or into the terminal."""
    parser = Parser("experiments.stability", __doc__)
    parser.add_argument("--out", type=Path, help="the picture; without it, a table in the terminal")
    parser.add_argument("--metric", help="a metric of tables; default: the table's own")
    parser.add_argument("--where", default="", help="field=value|value,... : which cells")
    parser.add_argument("--x", help="the field along x; default: what the table has as columns")
    parser.add_argument("--y", help="the field along y; default: what the table retunes")
    parser.add_argument("--facet", help="fields that panels differ in; default: what else the table tells apart")
    flags = vars(parser.parse_args(argv))
    out, workdir = flags.pop("out"), flags.pop("workdir")
    shown, _ = together(partial(make, workdir, **flags), partial(picture_path, out))
    if out is None:
        from experiments.figures import shades

        shades.show(shades.stability(shown))
        return
    from experiments.figures import maps, page  # matplotlib is slow to import; a mistake above need not wait for it

    drawn = page.encode(maps.stability(shown), out.suffix[1:])
    with writing(out):
        records.write_bytes(out, drawn)
    print(out)


if __name__ == "__main__":
    run(main)
