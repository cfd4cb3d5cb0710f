"""Loss curves side by side: python -m experiments.compare --workdir=DIR [--workdir=DIR2 ...] [--metric=train/loss]
[--where='wiring=pre|deepnorm,norm=rmsnorm'] [--group_by=wiring] [--facet=depth] [--x=step|tokens|flops|seconds]
[--smooth=0.9] [--log_x] [--log_y] [--out=FIGURE.(png|pdf|svg)]

Every arm at its best learning rate (or whatever the sweep retunes): the mean over seeds with a 95 % t band, every seed
as a thin line, a sign where one diverged or ended stuck. The mean stops where a seed dies: what goes on is only the
survivors. Fields go by any short name that means one of them. Several workdirs are drawn over each other. Without
--out, a picture in the terminal.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments import records
from experiments.command import Parser, picture_path, run, writing
from experiments.figures.curves import X_AXES
from experiments.figures.plot import make
from flax_tx.errors import together


def main(argv: Sequence[str]) -> None:
    """Draws the curves of the workdirs into --out, or into the terminal."""
    parser = Parser("experiments.compare", __doc__, several=True)
    parser.add_argument("--out", type=Path, help="the picture; without it, one in the terminal")
    parser.add_argument("--metric", default="train/loss", help="of every step, or layers/NAME[:max|mean|...] of chunks")
    parser.add_argument("--where", default="", help="field=value|value,... : which cells")
    parser.add_argument("--group_by", help="fields that lines differ in; default: the rows of the sweep's table")
    parser.add_argument("--facet", help="fields that panels differ in; default: the columns of the sweep's table")
    parser.add_argument("--x", default="step", help=f"one of {', '.join(X_AXES)}")
    parser.add_argument("--smooth", type=float, help="decay of the moving average, 0: none; default: 0.9 for steps")
    parser.add_argument("--log_x", action="store_true", help="a logarithmic x axis")
    parser.add_argument("--log_y", action="store_true", help="a logarithmic y axis; default: where decades are spanned")
    flags = vars(parser.parse_args(argv))
    out, workdirs = flags.pop("out"), flags.pop("workdir")
    plot, _ = together(partial(make, workdirs, **flags), partial(picture_path, out))
    if out is None:
        from experiments.figures import terminal

        terminal.show(plot)
        return
    from experiments.figures import drawing, page  # matplotlib is slow to import; a mistake above need not wait for it

    drawn = page.encode(drawing.draw(plot), out.suffix[1:])
    with writing(out):
        records.write_bytes(out, drawn)
    print(out)


if __name__ == "__main__":
    run(main)
