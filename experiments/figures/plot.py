"""Everything that a picture of curves says, on paper or in a terminal, before it is drawn."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations, groupby

import numpy as np

from experiments import overlay, traces, view
from experiments.figures.curves import X_AXES, Curve, curves, differing
from experiments.figures.entropies import Reference, references
from experiments.figures.floors import Floor, floors, said
from experiments.labels import short_names
from experiments.tables.arms import Report
from experiments.tables.caption import unit
from experiments.tables.faces import nuisance, title
from experiments.traces import Trace
from experiments.view import Line, View
from flax_tx.errors import UserError, nearest, together

DECADES = 100  # times from the lowest to the highest value of a diagnostic: from here on its axis is logarithmic
EXPLODED = 10  # times the largest entropy of the data: so for losses


@dataclass(frozen=True)
class Plot:
    """What to draw: the arms, their curves, and how the axes are scaled."""

    view: View
    trace: Trace
    smooth: float
    x: str
    log_x: bool
    log_y: bool
    curves: list[Curve]

    @cached_property
    def lines(self) -> list[Line]:
        """The entries of the legend, those of the same values next to each other."""
        drawn = dict.fromkeys(curve.line for curve in self.curves)
        return sorted(drawn, key=lambda line: self.view.rows.index(line.row))

    def within(self, panel: tuple) -> list[Curve]:
        """The curves of a panel."""
        mine = [curve for curve in self.curves if curve.arm.place.column == panel]
        return sorted(mine, key=lambda curve: self.lines.index(curve.line))

    @property
    def x_label(self) -> str:
        """What is on the x axis, and how it was made."""
        return X_AXES[self.x].label

    @property
    def y_label(self) -> str:
        """What is on the y axis, with its unit."""
        units = dict.fromkeys(unit(report.manifest, "final_train_loss") for report in self.view.reports.values())
        return f"{self.trace.words} ({' or '.join(units)})" if self.trace.is_loss else self.trace.words

    @cached_property
    def y_range(self) -> tuple[float, float]:
        """The range of y of all panels: what the seeds span after the first tenth, and the entropies."""
        values = self._late()
        if not values.size:
            return (1.0, 10.0) if self.log_y else (0.0, 1.0)
        highest = values.max() if self.log_y else np.quantile(values, 0.995)
        lines = [value for panel in self.view.panels for _, value in self.references(panel)]
        low, high = (float(end([values.min(), highest, *lines])) for end in (min, max))
        room = 0.06 * (high - low or 1)
        return (low / 1.1, high * 1.1) if self.log_y else (low - room, high + room)

    def _late(self) -> np.ndarray:
        """The finite values of all seeds; on a linear x axis without the first tenth, for which there is no room."""
        parts = [seed[0 if self.log_x else len(seed) // 10 :] for curve in self.curves for seed in curve.seeds]
        values = np.concatenate(parts or [np.empty(0)])
        return values[np.isfinite(values) & (values > (0 if self.log_y else -np.inf))]

    def references(self, panel: tuple) -> list[tuple[Reference, float]]:
        """The entropies of the data of a panel's cells, where the curves are losses."""
        return self._references.get(panel, [])

    @cached_property
    def _references(self) -> dict[tuple, list[tuple[Reference, float]]]:
        return references(self.view) if self.trace.is_loss else {}

    def best(self, curve: Curve) -> str:
        """`3e-3*`: the value at which the arm is shown."""
        return nuisance(curve.arm, self.report_of(curve))

    def report_of(self, curve: Curve) -> Report:
        """The sweep of a curve, the last where it is of several."""
        return self.view.reports[curve.line.sweeps[-1]]

    def troubles(self, panel: tuple) -> list[str]:
        """`post, rezero 3/3 stuck`: the arms of a panel of which not every seed trained."""
        found = sorted((curve for curve in self.within(panel) if curve.trouble), key=lambda curve: curve.trouble)
        return [
            f"{', '.join(self.view.name(curve.line) for curve in arms)} {trouble}"
            for trouble, arms in groupby(found, key=lambda curve: curve.trouble)
        ]

    @cached_property
    def floors(self) -> list[Floor]:
        """The noise floor of each sweep, as far as it is known."""
        return floors(self.view, self.curves)

    def method(self, drawn: str) -> list[str]:
        """How the picture was made, a line each; `drawn` says what is drawn of the {mean} over {seeds}."""
        seeds = sorted({len(curve.seeds) for curve in self.curves if len(curve.seeds)}) or [0]
        span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        tuned = dict.fromkeys(n for r in self.view.reports.values() if r.tuned for n in r.spec.nuisance)
        best = f"each at its best {' and '.join(short_names(tuned).values())}" if tuned else ""
        mean = "geometric mean" if self.log_y else "mean"
        what = drawn.format(mean=mean, seeds=f"{span} seeds") if seeds[-1] > 1 else "one seed"
        parts = (self.view.common, best, what, f"EMA {self.smooth:g}" if self.smooth else "")
        return ["; ".join(part for part in parts if part), *said(self.floors), *self.notes]

    @property
    def notes(self) -> list[str]:
        """What to know of sweeps that are shown together."""
        shown = (*self.view.lines_in, *self.view.panels_in)
        return [*overlay.notes(self.view.reports, shown), *self._shared()]

    def _shared(self) -> list[str]:
        lines = []
        for (one, a), (two, b) in combinations(self.view.reports.items(), 2):
            if shared := set(a.frame.index) & set(b.frame.index):
                others = {c for x, y in combinations(self.curves, 2) for c in differing(x, y)} & shared
                but = f", {len(others)} of them with other numbers" if others else ", with the same numbers"
                lines.append(f"{len(shared)} cells are in both {one} and {two}{but}")
        return lines

    @property
    def title(self) -> str:
        """The titles of the sweeps."""
        return " / ".join(dict.fromkeys(title(report) for report in self.view.reports.values()))


def make(
    workdirs: str | os.PathLike | Sequence[str | os.PathLike],
    metric: str = "train/loss",
    where: str = "",
    group_by: str | None = None,
    facet: str | None = None,
    x: str = "step",
    smooth: float | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> Plot:
    """The plot of one or several workdirs; for experiments.figures.drawing.draw and experiments.figures.terminal.draw.

    Args:
      metric: as experiments.traces reads it.
      where, group_by, facet: as experiments.view.select takes them.
      x: step, tokens, flops or seconds.
      smooth: decay of the moving average; by default 0.9 for what is recorded at every step, else 0.

    Raises: UserError with every mistake.
    """
    folders = [workdirs] if isinstance(workdirs, str | os.PathLike) else list(workdirs)
    chosen, trace, *_ = together(
        partial(view.select, folders, where, group_by, facet),
        partial(traces.parse, metric, folders),
        partial(_check_x, x),
        partial(_check_smooth, smooth),
    )
    decay = trace.smooth if smooth is None else smooth
    drawn = curves(chosen, trace, decay, x)
    if not any(len(curve.seeds) for curve in drawn):
        raise UserError(f"metric {metric!r}: none of the chosen cells has recorded it")
    log_y = log_y or spans_decades(chosen, trace, drawn)
    return Plot(chosen, trace, decay, x, log_x, log_y, [curve.of_logarithms() if log_y else curve for curve in drawn])


def _check_x(x: str) -> None:
    if x not in X_AXES:
        raise UserError(f"x {x!r}: expected one of {', '.join(X_AXES)}{nearest(x, X_AXES)}")


def _check_smooth(smooth: float | None) -> None:
    if smooth is not None and not 0 <= smooth < 1:
        raise UserError(f"smooth {smooth!r}: expected at least 0 and less than 1")


def spans_decades(view: View, trace: Trace, drawn: Sequence[Curve]) -> bool:
    """Whether a linear axis would show one curve only: decades of a diagnostic, or losses far above all entropies."""
    values = np.concatenate([seed[len(seed) // 10 :] for curve in drawn for seed in curve.seeds])
    values = values[np.isfinite(values)]
    if trace.is_rate or not values.size or values.min() <= 0:
        return False
    if trace.is_loss:
        entropies = [value for known in references(view).values() for _, value in known]
        return bool(entropies) and bool(values.max() > EXPLODED * max(entropies))
    return trace.column == "grad_norm" or bool(values.max() > DECADES * values.min())
