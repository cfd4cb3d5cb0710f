"""The tables of a sweep: python -m experiments.table --workdir=DIR [--format=rich|md|tex|html|csv] [--metric=NAME]
[--table=NUMBER|TITLE] [--paper]

Each place shows the arm at its best learning rate: mean ± half-width of the 95 % t interval over seeds; bad seeds
first, never averaged away; a verdict against the baseline, paired by seed, after Holm; below, what was held fixed.
With --paper, the published numbers stand beside ours.
"""

import dataclasses
import os
from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from experiments import records
from experiments.command import Parser, run
from experiments.metrics import METRICS
from experiments.screen import Screen, write
from experiments.table_spec import Table
from experiments.tables import latex, markdown, terminal, tidy, webpage
from experiments.tables.arms import Report, assemble, tables_of
from flax_tx.errors import UserError, nearest

FORMATS = {
    "rich": terminal.as_text,
    "md": markdown.markdown,
    "tex": latex.latex,
    "html": webpage.webpage,
    "csv": tidy.csv,
}


def reports(
    workdir: str | os.PathLike,
    metric: str | None = None,
    table: str | None = None,
    published: bool = False,
    loaded: pd.DataFrame | None = None,
) -> list[Report]:
    """The reports of a sweep's tables: of all, or of the one with this number (from 1) or this part of its title.

    With `published`, only those that have published numbers; `loaded` is what records.load(workdir) gave, where it was
    called already. Raises: UserError where that leaves none, and as
    `experiments.tables.arms.assemble` does.
    """
    specs = tables_of(records.sweep(workdir))
    chosen = specs if table is None else [_select(specs, table)]
    if published and not any(spec.paper for spec in chosen):
        raise UserError("--paper: expected a table with published numbers (Table.paper); this sweep has none to show")
    flags = ([] if table is None else [f"--table={table}"]) + ["--paper"] * published
    loaded = records.load(workdir) if loaded is None else loaded
    chosen = [spec for spec in chosen if spec.paper or not published]
    made = [assemble(workdir, metric, spec, published=published, loaded=loaded) for spec in chosen]
    return [dataclasses.replace(report, flags=tuple(flags)) for report in made]


def with_published(workdir: str | os.PathLike) -> list[Report]:
    """The reports of all tables, with the published numbers of those that have some. Raises: as `reports` does."""
    specs = tables_of(records.sweep(workdir))
    numbers = range(1, len(specs) + 1) if len(specs) > 1 else [None]
    chosen = ((number and str(number), spec.paper is not None) for number, spec in zip(numbers, specs, strict=True))
    return [report for number, published in chosen for report in reports(workdir, table=number, published=published)]


def _select(specs: list[Table], wanted: str) -> Table:
    """The table of that number or title."""
    titles = [spec.title for spec in specs]
    found = [spec for spec in specs if wanted.casefold() in spec.title.casefold()]
    if wanted.isdecimal() and 0 < int(wanted) <= len(specs):
        return specs[int(wanted) - 1]
    if len(found) != 1:
        choices = ", ".join(f"{i} {title!r}" for i, title in enumerate(titles, 1))
        raise UserError(
            f"--table = {wanted!r}: expected a number or part of one title: {choices}{nearest(wanted, titles)}"
        )
    return found[0]


def render(
    workdir: str | os.PathLike,
    format: str = "rich",
    metric: str | None = None,
    table: str | None = None,
    published: bool = False,
) -> str:
    """The tables of a workdir as text. Raises: UserError for an unknown format, and as `reports` does."""
    if format not in FORMATS:
        raise UserError(f"format {format!r}: expected one of {', '.join(FORMATS)}{nearest(format, FORMATS)}")
    if format == "csv" and published:
        others = ", ".join(name for name in FORMATS if name != "csv")
        raise UserError(f"format 'csv': holds our numbers alone; expected one of {others} with --paper")
    return FORMATS[format](*reports(workdir, metric, table, published))


def print_table(
    workdir: str | os.PathLike,
    console: Console,
    metric: str | None = None,
    table: str | None = None,
    published: bool = False,
    loaded: pd.DataFrame | None = None,
) -> None:
    """Draws the tables on a console, as wide as the console allows."""
    console.print(terminal.draw(reports(workdir, metric, table, published, loaded), console))


def main(argv: Sequence[str]) -> None:
    """Prints the tables of --workdir."""
    parser = Parser("experiments.table", __doc__)
    parser.add_argument("--format", default="rich", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("--metric", help=f"one of {', '.join(METRICS)}; default: the table's own")
    parser.add_argument("--table", help="number (from 1) or part of the title of one table; default: all")
    parser.add_argument("--paper", action="store_true", help="the published numbers beside ours")
    flags = parser.parse_args(argv)
    console = Screen()
    if flags.format == "rich" and console.is_terminal:
        print_table(flags.workdir, console, flags.metric, flags.table, flags.paper)
    else:
        write(render(flags.workdir, flags.format, flags.metric, flags.table, flags.paper))


if __name__ == "__main__":
    run(main)
