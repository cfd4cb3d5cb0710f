"""Cells -> places of the table -> one trial per seed: the number of a cell, or of its cells along a field."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from experiments import quantity
from experiments.column import Column
from experiments.labels import key
from experiments.quantity import Cell
from experiments.statistics import Choice
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


def trials_of(
    column: Column, choice: Choice, cells: list[str], frame: pd.DataFrame, numbers: pd.Series, spec: Table
) -> dict[tuple, Trial]:
    """{seed: Trial} of one row: its cells at the chosen nuisance values, as the column fixes and reduces them."""
    chosen = dict(zip(spec.nuisance, choice.value, strict=True)) | {n: key(v) for n, v in column.at.items()}
    mine = frame.loc[cells]
    fits = [values == tuple(chosen.values()) for values in columns_of(mine, chosen)]
    mine = mine[fits]
    over = [values[0] for values in columns_of(mine, (column.over,))] if column.over else [None] * len(mine)
    by_seed: dict[tuple, dict[Any, str]] = {}
    for cell, seed, x in zip(mine.index, columns_of(mine, spec.seeds), over, strict=True):
        by_seed.setdefault(seed, {})[x] = cell
    along = dict.fromkeys(over)
    along = sorted(along) if all(map(quantity.is_number, along)) else list(along)
    return {seed: _trial(column, along, members, frame, numbers) for seed, members in by_seed.items()}


def _trial(column: Column, along: list, members: Mapping[Any, str], frame: pd.DataFrame, numbers: pd.Series) -> Trial:
    """The trial of one seed, by the rules of experiments.quantity."""
    counting = quantity._counting(column.metric, False)
    found = []
    for x in along:
        cell = members.get(x)
        status, value = (frame.at[cell, "status"], float(numbers[cell])) if cell else ("missing", math.nan)
        if status in counting:
            status = "done" if math.isfinite(value) else "no number"
        found.append((x, Cell(cell or "", status, value if status == "done" else math.nan, math.nan)))
    value, status = quantity._reduce(column, found)
    return Trial(tuple(members[x] for x in along if x in members), status, value)
