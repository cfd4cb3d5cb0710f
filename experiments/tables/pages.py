"""What fits a page of LaTeX: about how wide and tall a grid gets, in characters and lines, and how it is cut."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from experiments.tables.faces import Face
from experiments.tables.grids import Grid, Row, fitted
from experiments.tables.typeset import wrapped

LABEL, HEADING = 34, 14  # characters of a line of a row's label, and of a column's heading if it is no wider below
WIDE, WIDEST = 112, 140  # characters of a row from which it is set narrow, and cut into blocks of columns
TALL = 52  # lines of a float


def pages(grids: Iterable[Grid]) -> list[list[Grid]]:
    """What is in each float: blocks of columns that are not too wide, parts of rows that are not too tall."""
    found: list[list[Grid]] = [[]]
    for part in (part for grid in grids for block in fitted(grid, WIDEST, width) for part in parts(block)):
        if found[-1] and sum(map(height, [*found[-1], part])) > TALL:
            found.append([])
        found[-1].append(part)
    return found


def parts(grid: Grid) -> Iterator[Grid]:
    """The grid in parts of at most TALL lines, each cut where something begins, if that leaves it two thirds full."""
    rows = list(grid.rows)
    while rows:
        fits = max(1, sum(total <= TALL for total in itertools.accumulate(map(_lines, rows))))
        full = range(max(1, 2 * fits // 3), fits + 1)
        cut = fits if fits == len(rows) else max(full, key=lambda i: (_begins(rows[i - 1], rows[i]), i))
        yield replace(grid, rows=rows[:cut])
        rows = rows[cut:]


def _begins(before: Row, row: Row) -> int:
    """How much changes from a row to the next: the more, the further left the label that does."""
    labels, others = (before.family, *before.labels), (row.family, *row.labels)
    return next((len(labels) - i for i, label in enumerate(labels) if label != others[i]), 0)


def height(grid: Grid) -> int:
    """Lines of a grid, its heading and its rules."""
    return 4 + len(grid.families) + sum(map(_lines, grid.rows))


def _lines(row: Row) -> int:
    """Lines of a row: of its labels, or of a place with trouble."""
    faces = [len(face.trouble.split(", ")) + bool(face.trouble and face.number) for face in row.faces]
    return max(1, *faces, *(len(wrapped(label, LABEL)) for label in row.labels))


def width(grid: Grid) -> int:
    """Characters of a row."""
    texts = zip(grid.row_names, *(row.labels for row in grid.rows), strict=True)
    labels = [min(LABEL, max(map(len, column))) for column in texts]
    under = zip(grid.column_names, widths(grid), strict=True)
    return sum(2 + room for room in [*labels, *(max(room, min(head(name, room), len(name))) for name, room in under)])


def widths(grid: Grid) -> list[int]:
    """Characters of the places of each column."""
    return [max(map(_room, faces)) for faces in zip(*(row.faces for row in grid.rows), strict=True)]


def _room(face: Face) -> int:
    lines = [*face.trouble.split(", "), f"{face.estimate} " if face.number else "", face.quoted]
    return max(map(len, lines)) + len(face.beside) + 2 * len(face.nuisance) // 3


def head(name: str, room: int) -> int:
    """Characters of a line of a heading: as many as its column, more where it is long."""
    return max(HEADING, room, min(LABEL, len(name) // 4))
