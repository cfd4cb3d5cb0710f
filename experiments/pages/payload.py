"""What the scripts of a page read: cells, axes, curves, layers and configs; the numbers of all are one packed text."""

import base64
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from experiments import records
from experiments.figures.curves import X_AXES
from experiments.labels import key, say, short_names
from experiments.statistics import LEVEL
from experiments.table_spec import Table
from experiments.tables.caption import unit
from experiments.tables.trials import columns_of
from experiments.traces import PER_STEP
from flax_tx.config import knobs

LARGEST = 6_000_000  # numbers of layers that a page holds; beyond that it holds those of the last chunk alone
ENTROPIES = (("unigram_loss", "unigram entropy"), ("floor_loss", "entropy rate"), ("bigram_loss", "bigram loss"))
LOSSES = ("val_loss", "final_train_loss")


class Numbers:
    """Columns behind one another as little-endian float32; a column is (its first number, how many it has)."""

    def __init__(self):
        self.columns: list[np.ndarray] = []
        self.count = 0

    def add(self, column: Any) -> tuple[int, int]:
        """Where a column lies."""
        self.columns.append(np.asarray(column, "<f4"))
        self.count += len(self.columns[-1])
        return self.count - len(self.columns[-1]), len(self.columns[-1])

    def packed(self) -> str:
        """All of them, deflated, as base64; NaN and infinities stay themselves."""
        content = b"".join(column.tobytes() for column in self.columns)
        return base64.b64encode(zlib.compress(content, 6)).decode()


def payload(workdir: str | os.PathLike, manifest: Mapping, frame: pd.DataFrame, spec: Table) -> dict[str, Any]:
    """Everything as one object that JSON can say; a cell is its position in `cells`."""
    axes, numbers, curves = axes_of(manifest, frame, spec), Numbers(), records.load_metrics(workdir, frame.index)
    return {
        "name": manifest["name"],
        "seeds": [i for i, axis in enumerate(axes) if axis["field"] in spec.seeds],
        "colour": next((i for i, axis in enumerate(axes) if axis["field"] in spec.rows), 0),
        "axes": axes,
        "cells": cells_of(frame, axes, curves),
        "x": [{"name": name, "label": axis.label} for name, axis in X_AXES.items()],
        "metrics": [metric(manifest, name) for name in PER_STEP],
        "references": references(manifest),
        "student": [float(special.stdtrit(n, (1 + LEVEL) / 2)) for n in range(1, 101)],
        "curves": curves_of(frame, curves, numbers),
        "layers": layers_of(workdir, frame, numbers),
        "configs": configs_of(frame),
        "numbers": numbers.packed(),
    }


def metric(manifest: Mapping, name: str) -> dict[str, Any]:
    """A column of metrics.parquet as the page names it; what spans decades is drawn so at first."""
    loss, words = name == "train_loss", PER_STEP[name]
    return {
        "name": name,
        "label": f"{words} ({unit(manifest, 'final_train_loss')})" if loss else words,
        "log": name == "grad_norm",
        "entropies": loss,
    }


def axes_of(manifest: Mapping, frame: pd.DataFrame, spec: Table) -> list[dict[str, Any]]:
    """The fields in which cells differ, as the sweep lists their values, then the status; `of` is by cell."""
    varying = {name: list(map(key, values)) for name, values in manifest["axes"].items() if len(values) > 1}
    names, axes = short_names(varying), []
    for name, values in varying.items():
        of = [value for (value,) in columns_of(frame, (name,))]
        order = [*values, *dict.fromkeys(value for value in of if value not in values)]
        labels = [spec.label(value) for value in order]
        axes.append({"field": name, "name": names[name], "values": labels, "of": [order.index(value) for value in of]})
    known = [status for status in (*records.STATUSES, *records.ABSENT) if (frame.status == status).any()]
    of = [known.index(status) for status in frame.status]
    return [*axes, {"field": "status", "name": "status", "values": known, "of": of}]


def cells_of(frame: pd.DataFrame, axes: Sequence[Mapping], curves: pd.DataFrame) -> list[dict[str, Any]]:
    """Per cell its id, what it is in words, how it ended, its losses, and how far a step goes along each x axis."""
    steps = curves.groupby("cell")["step"].max() if len(curves) else {}
    return [
        {
            "id": cell,
            "words": ", ".join(f"{axis['name']}={axis['values'][axis['of'][i]]}" for axis in axes[:-1]),
            "status": row["status"],
            **{name: row[name] for name in LOSSES},
            "length": {name: axis.length(row, steps[cell]) for name, axis in X_AXES.items()} if cell in steps else {},
        }
        for i, (cell, row) in enumerate(frame.to_dict("index").items())
    ]


def references(manifest: Mapping) -> list[dict[str, Any]]:
    """The entropies of the data, as horizontal lines; the bigram loss only where the entropy rate is unknown."""
    found = []
    for data in manifest["data"].values():
        known = [(name, data[field]) for field, name in ENTROPIES if data.get(field) is not None]
        found += [{"name": name, "value": value} for name, value in known[:2]]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def curves_of(frame: pd.DataFrame, curves: pd.DataFrame, numbers: Numbers) -> dict[str, Any]:
    """Steps and metrics of all cells behind one another; `length` is by cell, 0 where there is no curve."""
    lengths = curves["cell"].value_counts() if len(curves) else {}
    return {
        "length": [int(lengths.get(cell, 0)) for cell in frame.index],
        "columns": {name: numbers.add(curves.get(name, ())) for name in ("step", *PER_STEP)},
    }


def layers_of(workdir: str | os.PathLike, frame: pd.DataFrame, numbers: Numbers) -> dict[str, Any]:
    """Per-layer diagnostics: per cell (chunks, layers), the rows of all cells behind one another."""
    loaded = records.load_layers(workdir, frame.index)
    names = [name for name in loaded if name not in ("cell", "step", "layer")]
    whole = len(loaded) * len(names) <= LARGEST
    if not whole:
        loaded = loaded[loaded["step"] == loaded.groupby("cell")["step"].transform("max")]
    grouped = loaded.groupby("cell", sort=False)
    shapes = {cell: (part["step"].nunique(), part["layer"].nunique()) for cell, part in grouped} if names else {}
    return {
        "whole": whole,
        "shape": [shapes.get(cell, (0, 0)) for cell in frame.index],
        "names": names,
        "columns": {name: numbers.add(loaded[name]) for name in ("step", *names)},
    }


def configs_of(frame: pd.DataFrame) -> dict[str, Any]:
    """`same`: field -> value of all cells; `differ`: field -> {values, of}, by cell."""
    same, differ = {}, {}
    for name in (name for name in frame if name in knobs()):
        of = [say(value) for (value,) in columns_of(frame, (name,))]
        values = list(dict.fromkeys(of))
        if len(values) == 1:
            same[name] = values[0]
        else:
            differ[name] = {"values": values, "of": [values.index(value) for value in of]}
    return {"same": same, "differ": differ}


def embedded(value: Any) -> str:
    """JSON that no text in it can end: inside a script element `<` and `>` are written as escapes."""
    text = json.dumps(records.plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
