"""The table in a terminal. Every cell is a Text, so nothing in a name is taken for markup."""

import io
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from experiments.screen import Screen
from experiments.tables.arms import Report
from experiments.tables.caption import captions
from experiments.tables.faces import MARKS, NOT_PLANNED, Face, title
from experiments.tables.grids import Grid, fitted, grids
from experiments.visible import line, visible

STYLES = {"better": "bold green", "worse": "red", "not separated": "default", "": "default"}
UNBOUNDED = 10_000
GAP = 3  # between two columns: a padding of each, and the box's own character


def as_text(*reports: Report, minimum: int = 100) -> str:
    """The tables as plain text, as wide as they must be to break no line of them, and at least `minimum` columns."""
    width = max(minimum, *(_width(grid.spelled(line)) for report in reports for grid in grids(report)))
    console = Screen(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(draw(reports, console))
    return "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))


def draw(reports: Sequence[Report], console: Console) -> RenderableType:
    """The tables and their captions, in blocks of columns where the console is too narrow for all of them."""
    parts: list[RenderableType] = []
    own, shared = captions(reports)
    for report, lines in zip(reports, own, strict=True):
        parts.append(Text(line(title(report)), style="bold"))
        for grid in (grid.spelled(line) for grid in grids(report)):
            parts += [Text(grid.heading, style="bold")] if grid.heading else []
            parts += [_drawn(block) for block in fitted(grid, console.width, _width)]
        parts += [_caption(lines), Text()]
    return Group(*parts, Text("All tables", style="bold"), _caption(shared)) if shared else Group(*parts[:-1])


def _width(grid: Grid) -> int:
    return Console(width=UNBOUNDED, file=io.StringIO()).measure(_drawn(grid)).maximum


def _drawn(grid: Grid) -> RenderableType:
    """The table; under a line of spanners it has no edge, whose upper line would part it from them."""
    if not grid.spanners:
        return _table(grid)
    return Padding(Group(_spanners(grid), _table(grid)), (1, 0, 1, 1))


def _table(grid: Grid) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=not grid.spanners)
    for name in grid.row_names:
        table.add_column(Text(name), overflow="fold")
    for name, least in zip(grid.column_names, _widths(grid), strict=True):
        table.add_column(Text(name), justify="left", overflow="fold", min_width=least)
    columns = list(zip(*(row.faces for row in grid.rows), strict=True))
    drawn = iter(zip(*(_column(faces) for faces in columns), strict=True))
    for family, rows in grid.families:
        if family:
            table.add_section()
            table.add_row(Text(family, style="italic"))
        last = None
        for row in rows:
            if last and row.labels[0] != last and len(row.labels) > 1:
                table.add_section()
            first = "" if row.labels[0] == last else "  " * bool(family) + row.labels[0]
            table.add_row(*map(Text, (first, *row.labels[1:])), *next(drawn))
            last = row.labels[0]
    return table


def _spanners(grid: Grid) -> Text:
    """The line over the header: each spanner in the middle of a rule over its columns."""
    labels = [[Text(name), *(Text(row.labels[i]) for row in grid.rows)] for i, name in enumerate(grid.row_names)]
    indent = 2 if any(row.family for row in grid.rows) else 0
    firsts = [*(indent + cell_len(row.labels[0]) for row in grid.rows), *(cell_len(row.family) for row in grid.rows)]
    left = [max(map(_widest, cells)) for cells in labels]
    left[0] = max(left[0], *firsts)
    rule, widths, start = Text(" " * (sum(left) + GAP * len(left)), no_wrap=True), _widths(grid), 0
    for name, count in grid.spans:
        width = sum(widths[start : start + count]) + GAP * (count - 1)
        rule.append(f" {name} ".center(width, "─") if name else " " * width).append(" " * GAP)
        start += count
    rule.rstrip()
    return rule


def _widths(grid: Grid) -> list[int]:
    """The width of each column, the last under a spanner wide enough for the spanner."""
    columns = zip(*(row.faces for row in grid.rows), strict=True)
    widths = [
        max(cell_len(name), *map(_widest, _column(faces)))
        for name, faces in zip(grid.column_names, columns, strict=True)
    ]
    start = 0
    for name, count in grid.spans:
        lack = cell_len(name) + 4 - sum(widths[start : start + count]) - GAP * (count - 1)
        widths[start + count - 1] += max(lack, 0)
        start += count
    return widths


def _widest(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


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
        sign = f" {MARKS[face.verdict]}" if face.verdict else ""
        text.append(f"\n{face.estimate}{sign}", style=STYLES[face.verdict] if face.verdict else "dim")
    for words in filter(None, (face.beside, face.quoted)):
        text.append(f"{' ' * bool(text.plain)}{words}", style="cyan")
    return text


def _caption(lines: list[tuple[str, str]]) -> RichTable:
    table = RichTable.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in lines:
        table.add_row(label, Text(visible(text), style="yellow" if label == "Check" else "default"))
    return table
