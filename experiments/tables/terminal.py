"""The table in a terminal. Every cell is a Text, so nothing in a name is taken for markup."""

import io
from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from experiments.tables.arms import Report
from experiments.tables.caption import caption
from experiments.tables.faces import MARKS, NOT_PLANNED, Face, Grid, grids, title

STYLES = {"better": "bold green", "worse": "red", "not separated": "default", "": "default"}
UNBOUNDED = 10_000


def as_text(report: Report, minimum: int = 100) -> str:
    """The table as plain text, as wide as it must be to break no line of it, and at least `minimum` columns."""
    measure = Console(width=UNBOUNDED, file=io.StringIO())
    width = max(minimum, *(measure.measure(_table(grid)).maximum for grid in grids(report)))
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(draw(report, console))
    return "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))


def draw(report: Report, console: Console) -> RenderableType:
    """The table and its caption, in blocks of columns where the console is too narrow for all of them."""
    parts: list[RenderableType] = [Text(title(report), style="bold")]
    for grid in grids(report):
        parts += [Text(grid.heading, style="bold")] if grid.heading else []
        parts += [_table(block) for block in _fit(grid, console)]
    return Group(*parts, _caption(report))


def _fit(grid: Grid, console: Console) -> Iterator[Grid]:
    """The grid in as few blocks of columns as fit the console."""
    columns = len(grid.column_names)
    measure = Console(width=UNBOUNDED, file=io.StringIO())
    for size in range(columns, 0, -1):
        blocks = [_block(grid, slice(start, start + size)) for start in range(0, columns, size)]
        if size == 1 or all(measure.measure(_table(block)).maximum <= console.width for block in blocks):
            yield from blocks
            return


def _block(grid: Grid, part: slice) -> Grid:
    rows = [(labels, faces[part]) for labels, faces in grid.rows]
    return Grid(grid.heading, grid.row_names, grid.column_names[part], rows)


def _table(grid: Grid) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in grid.row_names:
        table.add_column(Text(name), overflow="fold")
    for name in grid.column_names:
        table.add_column(Text(name), justify="left", overflow="fold")
    columns = list(zip(*(faces for _, faces in grid.rows), strict=True))
    drawn = list(zip(*(_column(faces) for faces in columns), strict=True))
    last = None
    for (labels, _), texts in zip(grid.rows, drawn, strict=True):
        if last and labels[0] != last[0] and len(labels) > 1:
            table.add_section()
        same = bool(last) and labels[0] == last[0]
        table.add_row(*(Text("" if same and not i else label) for i, label in enumerate(labels)), *texts)
        last = labels
    return table


def _column(faces: tuple[Face, ...]) -> list[Text]:
    """The faces of one column, numbers and best values under each other."""
    number, spread = (max(len(getattr(face, part)) for face in faces) for part in ("number", "spread"))
    return [_cell(face, number, spread) for face in faces]


def _cell(face: Face, number: int, spread: int) -> Text:
    text = Text(
        face.trouble.replace(", ", "\n"), style="yellow" if face.trouble and face.trouble != NOT_PLANNED else "default"
    )
    if face.number and not face.trouble:
        shown = f"{face.number:>{number}}" + (
            f" ± {face.spread:>{spread}}" if face.spread else " " * bool(spread) * (spread + 3)
        )
        text.append(shown, style=STYLES[face.verdict])
        text.append(f" {MARKS.get(face.verdict, ' ')}", style=STYLES[face.verdict])
    if face.nuisance:
        text.append(f" @{face.nuisance}", style="dim")
    if face.number and face.trouble:
        text.append(f"\n{face.estimate}", style="dim")
    return text


def _caption(report: Report) -> RichTable:
    lines = RichTable.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    for label, text in caption(report):
        lines.add_row(label, Text(text, style="yellow" if label == "Check" else "default"))
    return lines
