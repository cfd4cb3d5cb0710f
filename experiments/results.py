"""A sweep's records, read once for many questions."""

import dataclasses
import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments import metrics, records
from experiments.labels import key
from flax_tx.errors import UserError


@dataclass(frozen=True)
class Results:
    """The manifest and the frame of a workdir; numbers of other records are read when they are asked for."""

    workdir: str
    manifest: dict
    frame: pd.DataFrame
    columns: dict[str, pd.Series] = dataclasses.field(default_factory=dict, repr=False)
    probed: dict[str, pd.DataFrame] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Cell -> its row of records.load as plain values; what it does not have is None."""
        cells = list(self.frame.index)
        plain = {cell: {} for cell in cells}
        for name in self.frame:
            for cell, value in zip(cells, self.frame[name].tolist(), strict=True):
                plain[cell][name] = None if value is None or value != value else key(value)
        return plain

    @property
    def axes(self) -> dict[str, list]:
        """Field -> its values, as the sweep has them."""
        return self.manifest["axes"]

    def role(self, name: str) -> tuple[str, ...]:
        """The fields that the sweep's table names `nuisance` or `seeds`."""
        return tuple(self.manifest["table"].get(name) or ())

    @property
    def judged_by(self) -> str:
        """The metric by which a nuisance value is chosen: the table's own, but never of the test set."""
        return self.manifest["table"]["metric"].replace("test_", "val_")

    def number(self, metric: str, cell: str) -> float:
        """A metric of a cell. Raises: UserError for an unknown metric."""
        if metric not in self.columns:
            self.columns[metric] = metrics.column(self.workdir, self.frame, metric)
        return float(self.columns[metric][cell])

    def probe(self, cell: str, quantity: str) -> np.ndarray | None:
        """A probe of a cell, ordered by index and head; None where the cell has none of that name."""
        if cell not in self.probed:
            self.probed[cell] = records.load_probes(self.workdir, [cell])
        frame = self.probed[cell]
        frame = frame[frame["quantity"] == quantity]
        return frame.sort_values(["index", "head"]).value.to_numpy(np.float64) if len(frame) else None


def load(workdir: str | os.PathLike, names: Iterable[str] = ()) -> Results:
    """The records of a workdir; the metrics `names` are read together, so each file once.

    Raises: UserError for a folder that is no sweep's, or a sweep without a table.
    """
    manifest = records.sweep(workdir)
    if not manifest.get("table"):
        raise UserError(f"{workdir}: expected a sweep with a table, which names its seeds and what it retunes")
    frame = records.load(workdir)
    columns = metrics.columns(workdir, frame, names)
    return Results(str(workdir), manifest, frame, dict(columns.items()))
