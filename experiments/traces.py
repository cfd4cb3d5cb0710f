"""Traces: numbers along the steps of a cell, of every step (metrics.parquet) or of every chunk (layers.parquet).

train/loss, grad_norm, ...        a column of metrics.parquet; train/loss and train_loss are the same
layers/attention_logit_max:max    a column of layers.parquet, reduced over layers by max, mean, min, first, last or
                                  the number of a layer; without a reduction, by max what is a maximum, else by mean
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments import records
from experiments.metrics.cells import layers
from experiments.records import recorded
from flax_tx.errors import UserError, nearest

PER_STEP = {"train_loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}
DIAGNOSTICS = {
    "grad_rms": "gradient RMS",
    "update_to_param": "RMS of the update over that of the parameters",
    "attention_logit_max": "largest attention logit",
    "attention_entropy": "attention entropy (nats)",
    "stream_rms": "RMS of the stream",
    "branch_rms": "RMS of the branch",
    "branch_to_stream": "RMS of the branch over that of the stream",
    "cosine": "cosine of the stream before and after",
}
REDUCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of (chunks, layers)
    "max": lambda table: table.max(axis=1),
    "mean": lambda table: table.mean(axis=1),
    "min": lambda table: table.min(axis=1),
    "first": lambda table: table[:, 0],
    "last": lambda table: table[:, -1],
}
WHERE = {
    **{name: f"{name} over layers" for name in ("max", "mean", "min")},
    **{name: f"{name} layer" for name in ("first", "last")},
}
LAYERS = "layers/"
SMOOTH = 0.9  # of what is recorded at every step


@dataclass(frozen=True)
class Trace:
    """One number along the steps: the column of its record, how layers are reduced ("" for one per step), its name."""

    column: str
    over: str = ""

    @property
    def name(self) -> str:
        """As a command takes it."""
        return f"{LAYERS}{self.column}:{self.over}" if self.over else self.column

    @property
    def words(self) -> str:
        """What it is."""
        if not self.over:
            return PER_STEP.get(self.column, self.column.replace("_", " "))
        where = f"layer {self.over}" if self.over.isdecimal() else WHERE[self.over]
        return f"{layer_words(self.column)}, {where}"

    @property
    def is_loss(self) -> bool:
        """Whether the entropies of the data are lines to hold it against."""
        return self.column == "train_loss"

    @property
    def is_rate(self) -> bool:
        """Whether it was set, not measured."""
        return self.column == "learning_rate"

    @property
    def smooth(self) -> float:
        """The decay of its moving average where nobody asks for another."""
        return 0.0 if self.over or self.is_rate else SMOOTH

    def load(self, workdir: str | os.PathLike, cells: Iterable[str]) -> dict[str, pd.Series]:
        """Cell -> its numbers by step, of the cells that have them."""
        if self.over:
            tables = per_layer(workdir, cells, self.column)
            return {cell: _reduced(table, self.over) for cell, table in tables.items()}
        frame = records.load_metrics(workdir, cells)
        groups = frame.groupby("cell", sort=False) if self.column in frame else ()
        return {cell: part.set_index("step")[self.column] for cell, part in groups}


def per_layer(workdir: str | os.PathLike, cells: Iterable[str], column: str) -> dict[str, pd.DataFrame]:
    """Cell -> a diagnostic (steps, layers), of the cells that have it; layers that do not have it are left out."""
    frame = records.load_layers(workdir, cells)
    found = {}
    for cell, record in layers(frame) if column in frame else ():
        table = pd.DataFrame(record[column], pd.Index(record["step"][:, 0], name="step"), record["layer"][0])
        found[cell] = table.loc[:, ~table.isna().all()]
    return {cell: table for cell, table in found.items() if table.size}


def _reduced(table: pd.DataFrame, over: str) -> pd.Series:
    if over.isdecimal():
        return table[int(over)] if int(over) in table else pd.Series(np.nan, table.index)
    return pd.Series(REDUCTIONS[over](table.to_numpy()), table.index)


def layer_words(column: str) -> str:
    """`attention.stream_rms` in words."""
    sublayer, _, statistic = column.rpartition(".")
    return DIAGNOSTICS.get(statistic, statistic.replace("_", " ")) + (f", {sublayer}" if sublayer else "")


def parse(text: str, workdirs: Iterable[str | os.PathLike]) -> Trace:
    """The trace of a name. Raises: UserError for one that no cell of the workdirs has recorded."""
    folders = list(workdirs)
    if not text.startswith(LAYERS):
        known = names_of(folders, "metrics.parquet")
        column = text.replace("/", "_")
        if column not in known:
            per_layer = [LAYERS + name for name in names_of(folders, "layers.parquet")]
            raise UserError(f"metric {text!r}: {_expected(text, known, per_layer)}")
        return Trace(column)
    column, colon, over = text.removeprefix(LAYERS).partition(":")
    diagnostic(column, folders, "metric", LAYERS)
    if colon and over not in REDUCTIONS and not (over.isdecimal() and int(over)):
        choices = [*REDUCTIONS, "the number of a layer"]
        raise UserError(f"metric {text!r}: expected {', '.join(choices)} after the colon{nearest(over, REDUCTIONS)}")
    return Trace(column, over or ("max" if column.endswith("max") else "mean"))


def diagnostic(column: str, workdirs: Iterable[str | os.PathLike], flag: str, prefix: str = "") -> str:
    """A column of layers.parquet that some cell has. Raises: UserError for another, with those there are."""
    known = names_of(workdirs, "layers.parquet")
    if column not in known:
        raise UserError(f"{flag} {prefix + column!r}: {_expected(prefix + column, [], [prefix + k for k in known])}")
    return column


def _expected(text: str, per_step: list[str], per_layer: list[str]) -> str:
    known = [*(name.replace("train_", "train/") for name in per_step), *per_layer]
    how = f", over layers by :{'|:'.join(REDUCTIONS)}|:NUMBER" if per_step and per_layer else ""
    if not known:
        return "no cell has recorded it; expected cells that trained, with train.diagnostics for what is of layers"
    return f"expected one of {', '.join(known)}{how}{nearest(text, [*known, *per_step])}"


def names_of(workdirs: Iterable[str | os.PathLike], record: str) -> list[str]:
    """The columns of a record that cells of the workdirs have, without those that index it."""
    found = dict.fromkeys(name for folder in workdirs for name in recorded(folder, record))
    return [name for name in found if name not in ("step", "layer")]
