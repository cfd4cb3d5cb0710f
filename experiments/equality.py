"""Whether two results of a cell are equal to the bit, and where they differ."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments import records

TIMES = ("finished", "seconds", "compile_seconds", "train_seconds", "tokens_per_second")
SOURCE = ("commit", "jax", "device", "precision", "group")  # of a summary: what made it, and no result
FILES = tuple(records.COLUMNS)


class Finding(NamedTuple):
    """A part of a result, and in what it differs from the record; nothing where it is equal."""

    part: str
    difference: str


def compare(cell: str, before: str | os.PathLike, after: str | os.PathLike) -> Iterator[Finding]:
    """The parts of two results of a cell, in turn."""
    one, two = (records.outcome(folder, cell) for folder in (before, after))
    yield Finding("status", "; ".join(values(one, two, ("status", "step", "reason"))))
    left_out = {"status", "step", "reason", *TIMES, *SOURCE}
    numbers = [name for name in {**one, **two} if name not in left_out]
    yield Finding("summary", "; ".join(values(one, two, numbers)))
    for name in FILES:
        tables = [records.read_table(folder, cell, name) for folder in (before, after)]
        if any(table is not None for table in tables):
            yield Finding(name, "; ".join(columns(*tables)))


def values(one: Mapping[str, Any], two: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """The fields that differ."""
    for name in names:
        if one.get(name) != two.get(name):
            yield f"{name} {two.get(name)!r} was {one.get(name)!r}"


def columns(one: pd.DataFrame | None, two: pd.DataFrame | None) -> Iterator[str]:
    """The columns of a file that differ: where first, in how many rows, and by how much at most."""
    if one is None or two is None:
        yield "was not there" if one is None else "is not there any more"
        return
    if list(one.columns) != list(two.columns) or len(one) != len(two) or any(one.dtypes != two.dtypes):
        yield f"{len(two)} rows of {', '.join(two)} were {len(one)} rows of {', '.join(one)}"
        return
    for name in one:
        apart = np.flatnonzero(~same(one[name].to_numpy(), two[name].to_numpy()))
        if len(apart):
            first, where = apart[0], place(one, apart[0])
            said = f"{name} first at {where}: {two[name][first]} was {one[name][first]}"
            yield f"{said} ({span(one[name], two[name], apart)})"


def same(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Where two columns of one type have the same bits; any NaN is any other."""
    if one.dtype.kind != "f":
        return one == two
    bits = f"u{one.dtype.itemsize}"
    return (one.view(bits) == two.view(bits)) | (np.isnan(one) & np.isnan(two))


def place(table: pd.DataFrame, row: int) -> str:
    """The row by its step, layer, quantity, index or head."""
    return ", ".join(
        f"{name} {table[name][row]}" for name in ("step", "layer", "quantity", "index", "head") if name in table
    )


def span(one: pd.Series, two: pd.Series, apart: np.ndarray) -> str:
    """In how many rows, and the largest difference of numbers."""
    largest = f", by at most {(two - one)[apart].abs().max(skipna=False):.3g}" if one.dtype.kind in "fiu" else ""
    return f"in {len(apart)} of {len(one)} rows{largest}"
