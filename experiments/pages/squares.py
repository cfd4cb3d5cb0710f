"""The stability map of a page: what experiments.stability draws, as tables of squares that know their cells."""

import os
from dataclasses import dataclass

import numpy as np

from experiments.figures import squares, stability
from experiments.figures.series import Heat
from experiments.figures.stability import Map
from experiments.labels import pairs, say
from experiments.tables.arms import Arm
from flax_tx.errors import UserError


@dataclass(frozen=True)
class Square:
    """One arm: what it says, its colours, its cells, what they have in common; the best of its column is `best`."""

    text: str
    best: bool
    colour: str
    ink: str
    cells: str
    why: str


@dataclass(frozen=True)
class Panel:
    """One map: `rows` are (value of y, squares); None where nothing was planned."""

    heading: str
    corner: str
    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]


def panels(workdir: str | os.PathLike) -> tuple[list[Panel], str]:
    """The map of a workdir and how it was made; nothing where the sweep has no two fields to draw it over."""
    try:
        found = stability.make(workdir)
    except UserError:
        return [], ""
    return [_panel(found, values, heat) for values, heat in found.heats.items()], found.method


def _panel(found: Map, values: tuple, heat: Heat) -> Panel:
    arms = {place.row[-1:] + place.column: arm for place, arm in found.report.arms.items() if place.row[:-1] == values}
    limits, rows = squares.span(found.heats.values()), []
    for i, y in reversed(list(enumerate(heat.y))):
        here = [(arms.get((y, x)), (i, j)) for j, x in enumerate(heat.x)]
        rows.append((_said(found, y), [arm and _square(found, heat, at, arm, limits) for arm, at in here]))
    corner = f"{found.axis(found.y)} \\ {found.axis(found.x)}"
    return Panel(found.name(values), corner, [_said(found, x) for x in heat.x], rows)


def _square(found: Map, heat: Heat, at: tuple[int, int], arm: Arm, limits: tuple[float, float]) -> Square:
    spec, colour = found.report.spec, squares.colour_of(heat, at, found.metric, limits)
    known = np.isfinite(heat.mean[at])
    values = dict(zip((*spec.rows, *spec.columns), (*arm.place.row, *arm.place.column), strict=True))
    return Square(
        format(heat.mean[at], found.metric.format) if known else heat.trouble.get(at, "–"),
        at in heat.best,
        colour,
        squares.ink(colour),
        " ".join(cell for trial in arm.trials.values() for cell in trial.cells),
        pairs(values),
    )


def _said(found: Map, value: object) -> str:
    return found.view.fields.labels.get(value) or say(value)
