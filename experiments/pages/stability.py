"""The stability map of a page: per row of the table, learning rate (or what else is retuned) by column, as squares."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.colors import to_hex

from experiments.figures.squares import BAD, COLOURS, ink
from experiments.labels import pairs, short_names
from experiments.table_spec import Table
from experiments.tables.arms import Arm, Report, assemble
from experiments.tables.faces import face
from experiments.tables.trials import Place


@dataclass(frozen=True)
class Square:
    """One arm at one nuisance value: what it says, its colours, its cells, what they have in common.

    `best`: at this value the table judges the arm.
    """

    text: str
    best: bool
    colour: str
    ink: str
    cells: str
    why: str


@dataclass(frozen=True)
class Map:
    """One map: `rows` are (nuisance value, squares); None where nothing was planned."""

    heading: str
    corner: str
    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]


def maps(workdir: str | os.PathLike, spec: Table) -> list[Map]:
    """One map per row of a table whose arms were tuned over one field; none where there is nothing to see."""
    if len(spec.nuisance) != 1 or spec.columns_of:
        return []
    roles = {"rows": spec.nuisance, "nuisance": (), "split": (*spec.split, *spec.rows), "baseline": None}
    report = assemble(workdir, spec=replace(spec, groups={}, theory={}, paper=None, **roles))
    if len(report.values_of("row")) < 2:
        return []
    judged = {_cells(arm) for arm in assemble(workdir, spec=spec).arms.values() if not arm.choice.hopeless}
    return list(_maps(report, spec, judged))


def _cells(arm: Arm) -> str:
    return " ".join(cell for trial in arm.trials.values() for cell in trial.cells)


def _maps(report: Report, spec: Table, judged: set[str]) -> Iterator[Map]:
    rows, columns = report.values_of("row"), report.values_of("column")
    names, limits = short_names([*report.spec.rows, *report.spec.columns]), _limits(report)
    for split, _ in itertools.groupby(report.arms, key=lambda place: place.split):
        squares = []
        for row in reversed(rows):
            arms = [report.arms.get(Place(split, row, column)) for column in columns]
            squares.append((spec.label(row[0]), [arm and _square(arm, report, limits, judged) for arm in arms]))
        heading = ", ".join(map(spec.label, split))
        headings = [", ".join(map(spec.label, column)) or report.described.name for column in columns]
        across = ", ".join(names[name] for name in report.spec.columns)
        yield Map(heading, f"{names[report.spec.rows[0]]} \\ {across}", headings, squares)


def _limits(report: Report) -> tuple[float, float]:
    means = [arm.estimate.mean for arm in report.arms.values() if not arm.bad and arm.estimate.n]
    return (min(means), max(means)) if means else (0.0, 1.0)


def _square(arm: Arm, report: Report, limits: tuple[float, float], judged: set[str]) -> Square:
    shown, low, span = face(arm, report), limits[0], limits[1] - limits[0]
    good = bool(shown.number) and not shown.trouble
    at = np.clip((arm.estimate.mean - low) / (span or 1), 0, 1) if good else 0
    colour = to_hex(COLOURS[arm.described.lower_is_better](at)) if good else BAD
    fields = (*report.spec.split, *report.spec.rows, *report.spec.columns)
    values = (*arm.place.split, *arm.place.row, *arm.place.column)
    why, best = pairs(dict(zip(fields, values, strict=True))), _cells(arm) in judged
    return Square(shown.trouble or shown.number, best, colour, ink(colour), _cells(arm), why)
