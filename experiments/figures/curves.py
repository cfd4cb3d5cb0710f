"""Curves of arms: every seed at full resolution, their mean and its band, and how each seed ended."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from scipy import special

from experiments.figures.series import trouble
from experiments.statistics import LEVEL
from experiments.tables.arms import Arm, Report
from experiments.traces import Trace
from experiments.view import Line, View
from flax_tx.errors import UserError

T = TypeVar("T", pd.Series, pd.DataFrame)
ENDS = ("stuck", "diverged", "failed", "missing")  # of a seed, in the order in which they are counted


class XAxis(NamedTuple):
    """What an x axis is called, and the length of one step on it: of a row of records.load and the steps it took."""

    label: str
    length: Callable[[Mapping[str, Any], int], float]


X_AXES = {
    "step": XAxis("step", lambda row, steps: 1.0),
    "tokens": XAxis(
        "tokens (step × batch × sequence length)", lambda row, steps: row["train.batch_size"] * row["data.seq_len"]
    ),
    "flops": XAxis("FLOPs (step × FLOPs of a step)", lambda row, steps: row["flops_per_step"]),
    "seconds": XAxis(
        "seconds (step × the cell's training seconds per step)", lambda row, steps: row["train_seconds"] / steps
    ),
}


class End(NamedTuple):
    """Where the curve of a seed that stuck or diverged ends: its last finite value, infinite where it has none."""

    status: str
    x: float
    value: float


@dataclass(frozen=True)
class Curve:
    """One arm over its steps [T]: the seeds, smoothed, [S, T], and their mean and band [T].

    A seed is NaN from its bad step on; mean and band are NaN from the first bad step of any seed, and everywhere when
    a seed failed: nothing is averaged over survivors. Seed s at step t stands at x = lengths[s] * t; the mean at the
    mean of these. `trouble` counts the seeds that did not train, and those that have not run.
    """

    arm: Arm
    line: Line
    step: np.ndarray
    lengths: np.ndarray
    seeds: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ends: list[End]
    trouble: str
    cells: list[str]

    @property
    def by_cell(self) -> dict[str, np.ndarray]:
        """Cell -> its seed's curve."""
        return dict(zip(self.cells, self.seeds, strict=True))

    @property
    def x(self) -> np.ndarray:
        """[T]: where the mean stands."""
        return self.step * (self.lengths.mean() if len(self.lengths) else np.nan)

    @property
    def seed_x(self) -> np.ndarray:
        """[S, T]: where each seed stands."""
        return self.lengths[:, None] * self.step

    def of_logarithms(self) -> "Curve":
        """The curve for a logarithmic axis: the geometric mean, and the t band of the logarithms."""
        mean, low, high = geometric(self.seeds, self.mean)
        return dataclasses.replace(self, mean=mean, low=low, high=high)


def curves(view: View, trace: Trace, smooth: float, x: str = "step") -> list[Curve]:
    """The curves of all arms; arms of several sweeps with equal cells and equal numbers are one curve.

    Raises: UserError where a cell lacks what the x axis is made of.
    """
    drawn = [curve for sweep, report in view.reports.items() for curve in _of_sweep(sweep, report, trace, smooth, x)]
    merged: list[Curve] = []
    for curve in drawn:
        twin = next((i for i, other in enumerate(merged) if equal(other, curve)), None)
        if twin is None:
            merged.append(curve)
        else:
            fuller = max(merged[twin], curve, key=lambda each: len(each.by_cell))
            both = (*merged[twin].line.sweeps, *curve.line.sweeps)
            merged[twin] = dataclasses.replace(fuller, line=curve.line._replace(sweeps=both))
    return merged


def equal(one: Curve, other: Curve) -> bool:
    """Whether two curves of different sweeps are of the same cells, with the same numbers where both have them."""
    if one.line.sweeps == other.line.sweeps or cells_of(one.arm) != cells_of(other.arm):
        return False
    if one.arm.place.row != other.arm.place.row or one.arm.place.column != other.arm.place.column:
        return False
    return not differing(one, other)


def differing(one: Curve, other: Curve) -> set[str]:
    """The cells that are in both, with other numbers."""
    both = one.by_cell.keys() & other.by_cell.keys()
    return {cell for cell in both if not np.array_equal(one.by_cell[cell], other.by_cell[cell], equal_nan=True)}


def cells_of(arm: Arm) -> set[str]:
    """The cells of an arm's seeds."""
    return {trial.cell for trial in arm.trials.values()}


def _of_sweep(sweep: str, report: Report, trace: Trace, smooth: float, x: str) -> Iterator[Curve]:
    cells = [trial.cell for arm in report.arms.values() for trial in arm.trials.values()]
    by_cell = {
        cell: until_bad(part, report.frame.loc[cell]) for cell, part in trace.load(report.workdir, cells).items()
    }
    rows = report.frame.loc[list(by_cell)].to_dict("index")
    lengths = {cell: float(X_AXES[x].length(rows[cell], by_cell[cell].index[-1])) for cell in by_cell}
    if lost := [cell for cell, length in lengths.items() if not np.isfinite(length)]:
        raise UserError(f"x {x!r}: {len(lost)} cells of {report.workdir} have no {x}, such as {lost[0]}")
    for arm in report.arms.values():
        line = Line(arm.place.row, (sweep,))
        yield _curve(arm, line, report.frame.status, by_cell, lengths, smooth)


def until_bad(found: T, row: pd.Series) -> T:
    """What was recorded by step, NaN from the bad step of a cell that diverged."""
    bad = row.step if row.status == "diverged" and pd.notna(row.step) else np.inf
    known = found.astype(float)
    known.loc[known.index >= bad] = np.nan
    return known


def _curve(
    arm: Arm,
    line: Line,
    status: Mapping[str, str],
    by_cell: Mapping[str, pd.Series],
    lengths: Mapping[str, float],
    smooth: float,
) -> Curve:
    planned = [trial.cell for trial in arm.trials.values()]
    cells = [cell for cell in planned if cell in by_cell]
    step = np.unique(np.concatenate([by_cell[cell].index for cell in cells] or [np.empty(0)]))
    seeds = np.array([ema(by_cell[cell].reindex(step).to_numpy(np.float64), smooth) for cell in cells])
    seeds = seeds.reshape(len(cells), len(step))
    of_x = np.array([lengths[cell] for cell in cells])
    mean, half = band(seeds)
    if any(status[cell] == "failed" for cell in planned):
        mean = np.full(len(step), np.nan)
    ends = [_end(status[c], step * lengths[c], seed) for c, seed in zip(cells, seeds, strict=True) if status[c] in ENDS]
    bad = trouble([status[cell] for cell in planned], ENDS)
    return Curve(arm, line, step, of_x, seeds, mean, mean - half, mean + half, ends, bad, cells)


def _end(status: str, x: np.ndarray, seed: np.ndarray) -> End:
    (finite,) = np.nonzero(np.isfinite(seed))
    return End(status, x[finite[-1]], seed[finite[-1]]) if len(finite) else End(status, x[0], np.inf)


def band(seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half-width of the pointwise t interval over the first axis; NaN where a seed has no value.

    The half-width of one seed is 0.
    """
    n = len(seeds)
    with np.errstate(invalid="ignore"):  # an infinite value leaves no band
        mean = seeds.mean(axis=0) if n else np.full(seeds.shape[1:], np.nan)
        sd = seeds.std(axis=0, ddof=1) if n > 1 else np.zeros(seeds.shape[1:])
    return mean, special.stdtrit(n - 1, (1 + LEVEL) / 2) * sd / np.sqrt(n) if n > 1 else sd


def geometric(seeds: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Geometric mean over the first axis and the ends of the t interval of the logarithms; NaN where `mean` is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, half = band(np.log(seeds))
    middle = np.where(np.isfinite(mean), middle, np.nan)
    return np.exp(middle), np.exp(middle - half), np.exp(middle + half)


def ema(values: np.ndarray, decay: float) -> np.ndarray:
    """Bias-corrected moving average, Σ decay^(t-s) x_s / Σ decay^(t-s) over s <= t; NaN from the first bad value on."""
    bad = np.maximum.accumulate(~np.isfinite(values))
    smoothed = pd.Series(np.where(bad, 0.0, values)).ewm(alpha=1 - decay, adjust=True).mean().to_numpy()
    return np.where(bad, np.nan, smoothed)
