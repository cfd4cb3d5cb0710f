"""How far a sweep has come: python -m experiments.status --workdir=DIR

Counts by status and by program, the cells that are missing or damaged, the failures with their reason and the file to
read, and the command that continues.
"""

import itertools
import os
import shlex
from collections.abc import Iterator, Sequence

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from experiments import records
from experiments.command import Parser, run
from experiments.labels import pairs
from experiments.screen import Screen, shown
from experiments.tables.arms import columns_of
from experiments.visible import line, visible

LISTED = 20  # cells of a kind that are named
STYLES = {
    **{"done": "green", "stuck": "yellow", "diverged": "yellow", "failed": "red"},
    **{records.DAMAGED: "bold red", records.MISSING: "dim"},
}


def draw(workdir: str | os.PathLike) -> RenderableType:
    """The state of a sweep. Raises: UserError for a folder that is no sweep's."""
    manifest, frame = records.sweep(workdir), records.load(workdir)
    axes = [name for name, values in manifest["axes"].items() if len(values) > 1]
    return Group(
        _headline(manifest, frame),
        _programs(frame, axes),
        *_troubles(workdir, frame, axes, "failed"),
        *_troubles(workdir, frame, axes, "diverged"),
        *_troubles(workdir, frame, axes, records.DAMAGED),
        *_troubles(workdir, frame, axes, records.MISSING),
        *_next(workdir, manifest, frame),
    )


def styles(frame: pd.DataFrame) -> dict[str, str]:
    """The statuses that are counted, with their style; damaged only where there is any."""
    damaged = (frame.status == records.DAMAGED).any()
    return {status: style for status, style in STYLES.items() if damaged or status != records.DAMAGED}


def _headline(manifest: dict, frame: pd.DataFrame) -> Text:
    results = int((~frame.status.isin(records.ABSENT)).sum())
    text = Text.assemble((line(manifest["name"]), "bold"), f": {results} of {len(frame)} cells have a result (")
    counts = [(f"{(frame.status == status).sum()} {status}", style) for status, style in styles(frame).items()]
    return Text.assemble(text, Text(", ").join(Text(*count) for count in counts), ")")


def _programs(frame: pd.DataFrame, axes: list[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("program")
    for status, style in styles(frame).items():
        table.add_column(status, justify="right", style=style)
    table.add_column("cells that share", overflow="fold")
    for program, cells in frame.groupby("program", sort=False):
        counts = [(cells.status == status).sum() for status in styles(frame)]
        table.add_row(Text(program), *(Text(str(count or "·")) for count in counts), shown(_shared(cells, axes)))
    return table


def _shared(cells: pd.DataFrame, axes: list[str]) -> str:
    values = {name: set(column) for name, *column in zip(axes, *columns_of(cells, axes), strict=True)}
    return pairs({name: next(iter(found)) for name, found in values.items() if len(found) == 1})


def _troubles(workdir: str | os.PathLike, frame: pd.DataFrame, axes: list[str], status: str) -> Iterator[Text]:
    """One line per cell of this status: which, what it was, why, where to look."""
    cells = frame[frame.status == status]
    if len(cells):
        yield Text(f"{status} ({len(cells)})", style=STYLES[status])
    for cell, values in itertools.islice(zip(cells.index, columns_of(cells, axes), strict=True), LISTED):
        yield shown(f"  {cell}  {pairs(dict(zip(axes, values, strict=True)))}{_why(workdir, cells.loc[cell])}")
    if len(cells) > LISTED:
        yield Text(f"  and {len(cells) - LISTED} more")


def _why(workdir: str | os.PathLike, cell: pd.Series) -> str:
    reason = f": {line(cell.reason)}" if isinstance(cell.get("reason"), str) else ""
    step = f" at step {int(cell.step)}" if pd.notna(cell.get("step")) else ""
    trace = records.cell_dir(workdir, cell.name) / "error.txt"
    return f"{reason}{step}{f'; see {trace}' if trace.is_file() else ''}"


def _next(workdir: str | os.PathLike, manifest: dict, frame: pd.DataFrame) -> Iterator[Text]:
    found = {status for status in (records.MISSING, records.DAMAGED, "failed") if (frame.status == status).any()}
    command = visible(manifest["command"])
    if records.MISSING in found:
        yield Text.assemble("continue: ", (command, "bold"))
    if again := sorted(found - {records.MISSING}):
        yield Text.assemble("again:    ", (f"{command} --retry={','.join(again)}", "bold"))
    if not found - {"failed"}:
        yield Text.assemble(
            "table:    ", (shlex.join(["python", "-m", "experiments.table", f"--workdir={workdir}"]), "bold")
        )


def main(argv: Sequence[str]) -> None:
    """Prints the state of --workdir."""
    flags = Parser("experiments.status", __doc__).parse_args(argv)
    Screen(soft_wrap=True).print(draw(flags.workdir), soft_wrap=True)


if __name__ == "__main__":
    run(main)
