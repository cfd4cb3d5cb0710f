"""The faces of a report laid out: sub-tables, families of rows, columns under spanners, published rows beside ours."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from experiments.labels import say, short_names
from experiments.paper import Paper
from experiments.table_spec import Table
from experiments.tables.arms import Report
from experiments.tables.faces import NOT_PLANNED, Face, face
from experiments.tables.trials import Place


@dataclass(frozen=True)
class Row:
    """One row: a label per row field, a face per column, the family that it belongs to, and the values of the fields.

    A row that only the paper has holds no values.
    """

    labels: list[str]
    faces: list[Face]
    family: str = ""
    values: tuple = ()


@dataclass(frozen=True)
class Grid:
    """One sub-table. `spanners` holds, per column, the heading over it; it is empty where there are none."""

    heading: str
    row_names: list[str]
    column_names: list[str]
    rows: list[Row]
    spanners: list[str]

    @property
    def spans(self) -> list[tuple[str, int]]:
        """(heading, how many columns it is over), from left to right."""
        return [(name, len(list(members))) for name, members in itertools.groupby(self.spanners)]

    @property
    def families(self) -> list[tuple[str, list[Row]]]:
        """Rows under the heading of their family; one without a name where there are no families."""
        return [(name, list(rows)) for name, rows in itertools.groupby(self.rows, key=lambda row: row.family)]

    def spelled(self, spell: Callable[[str], str]) -> "Grid":
        """The grid with every text that a user named as `spell` has it."""
        rows = [
            replace(
                row,
                labels=[*map(spell, row.labels)],
                family=spell(row.family),
                faces=[
                    replace(face, **{part: spell(getattr(face, part)) for part in ("nuisance", "theory", "quoted")})
                    for face in row.faces
                ],
            )
            for row in self.rows
        ]
        names, columns, spanners = (
            [*map(spell, texts)] for texts in (self.row_names, self.column_names, self.spanners)
        )
        return Grid(spell(self.heading), names, columns, rows, spanners)

    def block(self, start: int, stop: int) -> "Grid":
        """The grid with these columns only, without published rows that have nothing there."""
        rows = [replace(row, faces=row.faces[start:stop]) for row in self.rows]
        rows = [row for row in rows if row.values or any(face.quoted for face in row.faces)]
        return Grid(self.heading, self.row_names, self.column_names[start:stop], rows, self.spanners[start:stop])


def fitted(grid: Grid, width: int, measure: Callable[[Grid], int]) -> Iterator[Grid]:
    """The grid in as few blocks of columns as fit the width; what is under one spanner stays together."""
    if len(grid.spans) > 1 and measure(grid) > width:
        starts = [sum(length for _, length in grid.spans[:i]) for i in range(len(grid.spans) + 1)]
        for start, stop in itertools.pairwise(starts):
            yield from fitted(grid.block(start, stop), width, measure)
        return
    columns = len(grid.column_names)
    for count in range(1, columns + 1):
        size = -(-columns // count)  # blocks as even as may be
        blocks = [grid.block(start, start + size) for start in range(0, columns, size)]
        if size == 1 or all(measure(block) <= width for block in blocks):
            yield from blocks
            return


def grids(report: Report) -> Iterator[Grid]:
    """One grid per value of the split fields."""
    spec, paper = report.spec, report.paper
    names = short_names([*spec.split, *spec.rows, *spec.columns])
    columns = report.values_of("column")
    headings = [_heading(spec, column, names, report) for column in columns]
    for split, members in itertools.groupby(report.arms, key=lambda place: place.split):
        rows = []
        for row in dict.fromkeys(place.row for place in members):
            places = [report.arms.get(Place(split, row, column)) for column in columns]
            theory = [_theory(spec, row, column, heading) for column, heading in zip(columns, headings, strict=True)]
            faces = [face(arm, report, text) for arm, text in zip(places, theory, strict=True)]
            rows.append(Row(list(map(spec.label, row)), faces, spec.of_row(spec.groups, row) or "", row))
        grid = Grid(_named(spec, spec.split, split, names), [names[name] for name in spec.rows], headings, rows, [])
        yield beside(grid, paper, report) if paper else grid


def _named(spec: Table, fields: tuple[str, ...], values: tuple, names: dict[str, str]) -> str:
    """`num_layers=6`, or the label of the value alone where it has one."""
    pairs = zip(fields, values, strict=True)
    return ", ".join(spec.labels.get(value) or f"{names[name]}={say(value)}" for name, value in pairs)


def _heading(spec: Table, column: tuple, names: dict[str, str], report: Report) -> str:
    if spec.columns_of:
        return column[0]
    return _named(spec, spec.columns, column, names) or report.described.name


def _theory(spec: Table, row: tuple, column: tuple, heading: str) -> str:
    """What the spec expects there, by the heading of the column, its value, or how that reads."""
    titles = (heading, ", ".join(map(spec.label, column)), ", ".join(map(say, column)))
    by_row = next((spec.theory[name] for name in titles if name in spec.theory), {})
    found = spec.of_row(by_row, row)
    return "" if found is None else say(found)


def beside(grid: Grid, paper: Paper, report: Report) -> Grid:
    """Our grid with the published one to the right of it, and under each family the rows that only the paper has."""
    spec, published = report.spec, [name for _, name in paper.columns]
    seen, rows = set(), []
    for row in grid.rows:
        texts = spec.of_row(paper.rows, row.values)
        dashes = [NOT_PLANNED if texts is None else ""] * len(published)
        quoted = dashes if row.labels[0] in seen or texts is None else texts
        seen.add(row.labels[0])
        rows.append(Row(row.labels, [*row.faces, *(Face(quoted=text) for text in quoted)], row.family, row.values))
    for label, family, texts in paper.extra_rows:
        blank = [""] * (len(grid.row_names) - 1)
        faces = [Face(trouble=NOT_PLANNED)] * len(grid.column_names) + [Face(quoted=text) for text in texts]
        rows.append(Row([label, *blank], faces, family))
    families = list(dict.fromkeys(row.family for row in rows))
    rows.sort(key=lambda row: families.index(row.family))
    spanners = [_ours(report)] * len(grid.column_names) + [name for name, _ in paper.columns]
    return Grid(grid.heading, grid.row_names, [*grid.column_names, *published], rows, spanners)


def _ours(report: Report) -> str:
    """`here: progress, best learning rate`."""
    what = [] if report.spec.columns_of else [report.described.name.partition(" (")[0]]
    names = [name.rpartition(".")[2].replace("_", " ") for name in report.spec.nuisance]
    best = [f"best {' and '.join(names)}"] if report.tuned else []
    return f"here: {', '.join(what + best)}" if what + best else "here"
