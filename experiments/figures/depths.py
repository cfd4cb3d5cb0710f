"""A diagnostic of layers.parquet over layers and steps, of every arm: its mean over seeds, and where it ends."""

import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.figures.curves import ENDS, band, geometric, until_bad
from experiments.figures.series import trouble
from experiments.labels import short_names
from experiments.tables.arms import Report
from experiments.tables.faces import nuisance, title
from experiments.traces import diagnostic, layer_words, per_layer
from experiments.view import Line, View, select
from flax_tx.errors import UserError, nearest, together

KINDS = ("map", "profile")
DECADES = 30  # times from the smallest to the largest number: from here on the scale is logarithmic


@dataclass(frozen=True)
class Depth:
    """One arm: its seeds [S, T, L] over steps [T] and layers [L] from 1, and their mean [T, L].

    A seed is NaN from the chunk of its bad step on, the mean from the first of these of any seed; a failed seed leaves
    no mean. `best` is the nuisance value, `trouble` counts seeds that did not train or have not run.
    """

    line: Line
    panel: tuple
    step: np.ndarray
    layer: np.ndarray
    seeds: np.ndarray
    mean: np.ndarray
    best: str
    trouble: str

    def profile(self, log: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean and ends of its t interval at the last step, [L] each; for a logarithmic scale of the logarithms."""
        if log:
            return geometric(self.seeds[:, -1], self.mean[-1])
        half = band(self.seeds[:, -1])[1]
        return self.mean[-1], self.mean[-1] - half, self.mean[-1] + half


@dataclass(frozen=True)
class Depths:
    """The arms of a sweep, in the order of its table, and which diagnostic they show."""

    view: View
    column: str
    arms: list[Depth]

    @property
    def words(self) -> str:
        """The diagnostic in words."""
        return layer_words(self.column)

    @property
    def title(self) -> str:
        """The title of the sweep's table."""
        return title(next(iter(self.view.reports.values())))

    def name(self, arm: Depth) -> str:
        """An arm in words: its line and its panel, as far as these differ."""
        lines = [self.view.name(arm.line)] if self.view.differ else []
        panels = [self.view.panel_name(arm.panel)] if len(self.view.panels) > 1 else []
        return ", ".join((*lines, *panels)) or self.view.common or "all cells"

    def method(self, what: str) -> list[str]:
        """How it was made; `what` says what is drawn of {seeds}."""
        (report,) = self.view.reports.values()
        seeds = sorted({len(arm.seeds) for arm in self.arms}) or [0]
        span = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
        best = f"each at its best {' and '.join(short_names(report.spec.nuisance).values())}" if report.tuned else ""
        panel = self.view.panel_name(self.view.panels[0]) if len(self.view.panels) == 1 else ""
        return ["; ".join(filter(None, (self.view.common, panel, what.format(seeds=span), best)))]

    def span(self, at_end: bool) -> tuple[float, float, bool]:
        """(lowest, highest, whether a logarithmic scale shows them), of seeds at the last step or of all means."""
        parts = [arm.seeds[:, -1] if at_end else arm.mean for arm in self.arms if len(arm.step)]
        values = np.concatenate([part.ravel() for part in parts] or [np.empty(0)])
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 1.0, False
        return float(values.min()), float(values.max()), bool(0 < DECADES * values.min() < values.max())


def make(
    workdir: str | os.PathLike,
    column: str,
    where: str = "",
    group_by: str | None = None,
    facet: str | None = None,
    kind: str = "map",
) -> Depths:
    """A diagnostic of a sweep.

    Args:
      column: a column of layers.parquet (experiments.records.load_layers).
      where, group_by, facet: as experiments.view.select takes them.
      kind: map or profile; only checked here, with the rest.

    Raises: UserError with every mistake.
    """
    view, *_ = together(
        partial(select, workdir, where, group_by, facet),
        partial(diagnostic, column, [workdir], "diagnostic"),
        partial(_check_kind, kind),
    )
    (report,) = view.reports.values()
    arms = _arms(report, column)
    if not any(len(arm.seeds) for arm in arms):
        raise UserError(f"diagnostic {column!r}: none of the chosen cells has recorded it")
    return Depths(view, column, arms)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UserError(f"kind {kind!r}: expected one of {', '.join(KINDS)}{nearest(kind, KINDS)}")


def _arms(report: Report, column: str) -> list[Depth]:
    cells = [trial.cell for arm in report.arms.values() for trial in arm.trials.values()]
    tables = per_layer(report.workdir, cells, column)
    known = {cell: until_bad(table, report.frame.loc[cell]) for cell, table in tables.items()}
    found = []
    for place, arm in report.arms.items():
        planned = [trial.cell for trial in arm.trials.values()]
        mine = [known[cell] for cell in planned if cell in known]
        status = [report.frame.status[cell] for cell in planned]
        step = sorted({step for table in mine for step in table.index})
        layer = sorted({layer for table in mine for layer in table.columns})
        seeds = np.array([table.reindex(index=step, columns=layer).to_numpy(np.float64) for table in mine])
        seeds = seeds.reshape(len(mine), len(step), len(layer))
        mean = np.full(seeds.shape[1:], np.nan) if "failed" in status else band(seeds)[0]
        sizes = np.array(step), np.array(layer)
        best, bad = nuisance(arm, report), trouble(status, ENDS)
        found.append(Depth(Line(place.row, ("",)), place.column, *sizes, seeds, mean, best, bad))
    return found
