"""Cells -> places of the table -> one trial per seed: the number of a cell, or of its cells along a field."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from experiments.column import Column
from experiments.labels import key
from experiments.quantity import Quantity, sample
from experiments.results import Results
from experiments.table_spec import Table
from flax_tx.errors import UserError


class Trial(NamedTuple):
    """One seed as a table sees it: its cells, how it ended, and the number shown, NaN unless it is `done`."""

    cells: tuple[str, ...]
    status: str
    shown: float

    @property
    def cell(self) -> str:
        """The only cell, or the first of those that are reduced."""
        return self.cells[0]


class Place(NamedTuple):
    """Where in the table: values of the fields of spec.split, spec.rows and spec.columns.

    With spec.columns_of, `column` is (heading,).
    """

    split: tuple
    row: tuple
    column: tuple


def columns_of(frame: pd.DataFrame, fields: Iterable[str]) -> list[tuple]:
    """Per cell, the values of the fields as plain Python values; what a cell does not have is None."""
    columns = [frame[name].astype(object) if name in frame else [None] * len(frame) for name in fields]
    plain = [[None if isinstance(value, float) and math.isnan(value) else value for value in col] for col in columns]
    return list(zip(*plain, strict=True)) if plain else [()] * len(frame)


def grouped(frame: pd.DataFrame, spec: Table, axes: Mapping[str, list]) -> dict[Place, dict[tuple, list[str]]]:
    """{place: {nuisance: cells}}, places in the order of the table. Raises: UserError for two cells in one place."""
    parts = [columns_of(frame, fields) for fields in (spec.split, spec.rows, spec.columns, spec.nuisance)]
    rest = columns_of(frame, (*spec.along, *spec.seeds))
    groups: dict[Place, dict[tuple, list[str]]] = {}
    taken: dict[tuple, str] = {}
    for cell, split, row, column, nuisance, others in zip(frame.index, *parts, rest, strict=True):
        place = Place(split, row, column)
        other = taken.setdefault((place, nuisance, others), cell)
        if other != cell:
            raise UserError(f"table: cells {other} and {cell} share one place; give every axis a role")
        groups.setdefault(place, {}).setdefault(nuisance, []).append(cell)
    rank = place_rank(spec, axes)
    return {place: groups[place] for place in sorted(groups, key=rank)}


def place_rank(spec: Table, axes: Mapping[str, list]) -> Callable[[Place], tuple]:
    """A key that sorts places as the sweep lists its values, and rows by their families first."""
    families = list(dict.fromkeys(spec.groups.values()))

    def rank(place: Place) -> tuple:
        family = spec.of_row(spec.groups, place.row)
        of_rows = [families.index(family) if family in families else len(families), *ranks(place.row, spec.rows, axes)]
        return ranks(place.split, spec.split, axes), of_rows, ranks(place.column, spec.columns, axes)

    return rank


def ranks(values: tuple, fields: tuple[str, ...], axes: Mapping[str, list]) -> list[int]:
    """The position of each value in its axis."""
    orders = [[key(value) for value in axes.get(name, ())] for name in fields]
    return [order.index(v) if v in order else len(order) for order, v in zip(orders, values, strict=False)]


def trials_of(column: Column, at: Mapping[str, Any], results: Results) -> dict[tuple, Trial]:
    """{seed: Trial} of the cells with the values `at`, as the column fixes and reduces them; empty where none is."""
    wanted = Quantity(column.metric, {**at, **column.at}, column.over, column.fit, best=False)
    found = sample(wanted, results)
    trials = {}
    for seed, status in found.statuses.items():
        cells = tuple(arm.cells[seed].name for arm in found.arms.values() if seed in arm.cells)
        trials[seed] = Trial(cells, status, found.values.get(seed, math.nan))
    return trials
