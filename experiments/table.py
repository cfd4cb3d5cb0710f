"""The table of a sweep: python -m experiments.table --workdir=DIR [--format=rich|md|tex|csv] [--metric=NAME]

Each place shows the arm at its best learning rate: mean ± half-width of the 95 % t interval over seeds; bad seeds
first, never averaged away; a verdict against the baseline, paired by seed, after Holm; below, what was held fixed.
"""

import os
import sys
from collections.abc import Sequence

from rich.console import Console

from experiments.command import Parser, run
from experiments.table_spec import METRICS
from experiments.tables import latex, markdown, terminal, tidy
from experiments.tables.arms import assemble
from flax_tx.errors import UserError, nearest

FORMATS = {"rich": terminal.as_text, "md": markdown.markdown, "tex": latex.latex, "csv": tidy.csv}


def render(workdir: str | os.PathLike, format: str = "rich", metric: str | None = None) -> str:
    """The table of a workdir as text. Raises: UserError for an unknown format or metric, or no sweep in the folder."""
    if format not in FORMATS:
        raise UserError(f"format {format!r}: expected one of {', '.join(FORMATS)}{nearest(format, FORMATS)}")
    return FORMATS[format](assemble(workdir, metric))


def print_table(workdir: str | os.PathLike, console: Console, metric: str | None = None) -> None:
    """Draws the table on a console, as wide as the console allows."""
    console.print(terminal.draw(assemble(workdir, metric), console))


def main(argv: Sequence[str]) -> None:
    """Prints the table of --workdir."""
    parser = Parser("experiments.table", __doc__)
    parser.add_argument("--format", default="rich", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("--metric", help=f"one of {', '.join(METRICS)}; default: the sweep's own")
    flags = parser.parse_args(argv)
    console = Console()
    if flags.format == "rich" and console.is_terminal:
        print_table(flags.workdir, console, flags.metric)
    else:
        sys.stdout.write(render(flags.workdir, flags.format, flags.metric))


if __name__ == "__main__":
    run(main)
