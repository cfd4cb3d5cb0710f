"""Metrics of many cells: every record is read once, whatever the number of cells and metrics."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from experiments import records
from experiments.metrics.catalogue import METRICS
from flax_tx.errors import UserError, nearest


def column(workdir: str | os.PathLike, frame: pd.DataFrame, name: str) -> pd.Series:
    """A metric of the cells of `frame`, which is records.load(workdir) or some of its rows: float, indexed like it.

    NaN where a cell has no such record, or the record lacks what the metric needs. Raises: UserError for a name that is
    no metric.
    """
    return columns(workdir, frame, [name])[name]


def columns(workdir: str | os.PathLike, frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Several metrics of the cells of `frame`, a column each, as `column` gives them."""
    names = list(dict.fromkeys(names))
    if unknown := [name for name in names if name not in METRICS]:
        raise UserError([f"metric {name!r}: no such metric{nearest(name, METRICS)}" for name in unknown])
    found = pd.DataFrame(np.nan, index=frame.index, columns=names, dtype=float)
    for source in dict.fromkeys(METRICS[name].source for name in names):
        chosen = [name for name in names if METRICS[name].source == source]
        if source != "summary":
            found[chosen] = computed(workdir, frame, chosen, source)
        else:
            having = [name for name in chosen if name in frame]
            found[having] = frame[having].astype(float)
    return found


def computed(workdir: str | os.PathLike, frame: pd.DataFrame, names: list[str], source: str) -> np.ndarray:
    """(cells, metrics), NaN for a cell without a record."""
    load, split = SOURCES[source]
    rows = dict(zip(frame.index, rows_of(workdir, frame), strict=True))
    values = {cell: [np.nan] * len(names) for cell in frame.index}
    loaded = load(workdir, frame.index)
    for cell, record in split(loaded) if len(loaded) else ():
        values[cell] = [METRICS[name].compute(record, rows[cell]) for name in names]
    return np.array([values[cell] for cell in frame.index], float).reshape(len(frame), len(names))


def rows_of(workdir: str | os.PathLike, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dicts, with the bigram loss of their data set."""
    data = records.sweep(workdir).get("data", {})
    return [{"bigram_loss": describe(data, row).get("bigram_loss"), **row} for row in frame.to_dict("records")]


def describe(data: Mapping[str, Mapping], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What sweep.json says of the data of a row; it names them as the plan does: by name, or by the whole group.

    Where it knows one data set, every row is of that.
    """
    if len(data) == 1:
        return next(iter(data.values()))
    group = {name.removeprefix("data."): value for name, value in row.items() if name.startswith("data.")}
    by_name = data.get(str(group.get("name")))
    return by_name if by_name is not None else data.get(json.dumps(group, sort_keys=True, default=str), {})


def curves(frame: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(cell, {column: (steps,)})."""
    for cell, part in frame.groupby("cell", sort=False):
        yield cell, {name: part[name].to_numpy() for name in part}


def layers(frame: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(cell, {column: (chunks, layers)})."""
    for cell, part in frame.groupby("cell", sort=False):
        chunks = part["step"].nunique()
        yield cell, {name: part[name].to_numpy().reshape(chunks, -1) for name in part}


def probes(frame: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(cell, {quantity: (entries,), or (layers, heads) with NaN for a head that a layer does not have})."""
    frame = frame.sort_values(["cell", "quantity", "index", "head"], kind="stable")
    index, head, value = (frame[name].to_numpy() for name in ("index", "head", "value"))
    cell, quantity = (pd.factorize(frame[name]) for name in ("cell", "quantity"))
    starts = np.flatnonzero((np.diff(cell[0], prepend=-1) != 0) | (np.diff(quantity[0], prepend=-1) != 0))
    found: dict[str, dict[str, np.ndarray]] = {}
    for start, stop in zip(starts, [*starts[1:], len(frame)], strict=True):
        part = slice(start, stop)
        names = found.setdefault(cell[1][cell[0][start]], {})
        names[quantity[1][quantity[0][start]]] = shaped(index[part], head[part], value[part])
    yield from found.items()


def shaped(index: np.ndarray, head: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The values in order; (max index + 1, heads) where there are heads, which count from 1."""
    if head.max() == 0:
        return value
    table = np.full((index.max() + 1, head.max()), np.nan)
    table[index, head - 1] = value
    return table


Split = Callable[[pd.DataFrame], Iterator[tuple[str, dict[str, np.ndarray]]]]
SOURCES: dict[str, tuple[Callable[..., pd.DataFrame], Split]] = {
    "curves": (records.load_metrics, curves),
    "layers": (records.load_layers, layers),
    "probes": (records.load_probes, probes),
}
