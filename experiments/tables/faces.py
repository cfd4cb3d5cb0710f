"""What each place of a table says, in words and digits, before any format: trouble first, then numbers."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.labels import pairs, say, short_names
from experiments.tables.arms import BAD, Arm, Place, Report

NOT_PLANNED = "–"
MARKS = {"better": "▲", "worse": "▼", "not separated": "≈"}


@dataclass(frozen=True)
class Face:
    """One place of the table.

    `trouble` counts seeds that went bad or are missing (`1/2 stuck`); `number` and `spread` are the mean and the half
    width of its interval, of the survivors alone when `survivors`; `verdict` compares with the baseline; `nuisance` is
    the best value of the nuisance fields, a star at the edge of the grid.
    """

    trouble: str = ""
    number: str = ""
    spread: str = ""
    survivors: bool = False
    verdict: str = ""
    nuisance: str = ""

    @property
    def estimate(self) -> str:
        """`1.851 ± 0.012`, named as the survivors' where it is."""
        return f"{'survivors ' * self.survivors}{self.number}{f' ± {self.spread}' * bool(self.spread)}"


@dataclass(frozen=True)
class Grid:
    """One sub-table: its heading, the names of row fields and columns, and per row its labels and faces."""

    heading: str
    row_names: list[str]
    column_names: list[str]
    rows: list[tuple[list[str], list[Face]]]


def title(report: Report) -> str:
    """The title of the table, or the sweep's name, on one line."""
    return " ".join((report.spec.title or report.manifest["name"]).split())


def face(arm: Arm | None, report: Report) -> Face:
    """The face of an arm; of a place that the sweep did not plan, a dash."""
    if arm is None:
        return Face(trouble=NOT_PLANNED)
    shown, bad = arm.estimate, [f"{arm.counts[status]}/{arm.planned} {status}" for status in BAD if arm.counts[status]]
    missing = [f"missing {arm.counts['missing']}/{arm.planned}"] if arm.counts["missing"] else []
    digits = report.described.format
    return Face(
        trouble=", ".join(bad + missing),
        number=format(shown.mean, digits) if shown.n else "",
        spread="" if math.isnan(shown.half_width) else format(shown.half_width, digits),
        survivors=bool(bad and shown.n),
        verdict=arm.comparison.verdict if arm.comparison else "",
        nuisance=nuisance(arm, report),
    )


def nuisance(arm: Arm, report: Report) -> str:
    """`3e-3*`: the value an arm is judged at; `all` when every value went bad; nothing when no arm was tuned."""
    if not any(other.choice.tuned for other in report.arms.values()) or arm.counts["missing"] == arm.planned:
        return ""
    if arm.choice.hopeless:
        return "all"
    values = zip(arm.choice.value, arm.choice.edge, strict=True)
    return ",".join(f"{say(value)}{'*' * edge}" for value, edge in values)


def grids(report: Report) -> Iterator[Grid]:
    """One grid per value of the split fields."""
    spec, metric = report.spec, report.described
    names = short_names([*spec.split, *spec.rows, *spec.columns])
    columns = report.values_of("column")
    for split, members in itertools.groupby(report.arms, key=lambda place: place.split):
        rows = list(dict.fromkeys(place.row for place in members))
        yield Grid(
            heading=pairs(dict(zip(spec.split, split, strict=True))),
            row_names=[names[name] for name in spec.rows],
            column_names=[pairs(dict(zip(spec.columns, column, strict=True))) or metric.name for column in columns],
            rows=[
                (
                    [say(value) for value in row],
                    [face(report.arms.get(Place(split, row, column)), report) for column in columns],
                )
                for row in rows
            ],
        )
