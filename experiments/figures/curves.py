"""Loss curves of arms: every seed at full resolution, their mean and its band."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from experiments import records
from experiments.statistics import LEVEL
from experiments.tables.arms import Arm, Report
from flax_tx.errors import UserError, nearest

CURVES = ("train_loss", "grad_norm", "learning_rate")


@dataclass(frozen=True)
class Curve:
    """One arm over its steps [T]: the seeds, smoothed, [S, T], and their mean and band [T].

    A seed is NaN from its bad step on; mean and band are NaN from the first bad step of any seed.
    """

    arm: Arm
    step: np.ndarray
    seeds: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    last: list[tuple[float, float]]  # (step, value) of the last finite point of each seed that diverged


def curves(report: Report, metric: str, smooth: float) -> list[Curve]:
    """The curves of a report, arms in its order. Raises: UserError for a metric that is not recorded per step."""
    if metric not in CURVES:
        raise UserError(f"metric {metric!r}: expected one of {', '.join(CURVES)}{nearest(metric, CURVES)}")
    if not 0 <= smooth < 1:
        raise UserError(f"smooth {smooth!r}: expected at least 0 and less than 1")
    cells = [trial.cell for arm in report.arms.values() for trial in arm.trials.values()]
    by_cell = dict(tuple(records.load_metrics(report.workdir, cells).groupby("cell", sort=False)))
    drawn = [_curve(arm, by_cell, metric, smooth) for arm in report.arms.values()]
    return [curve for curve in drawn if curve is not None]


def _curve(arm: Arm, by_cell: Mapping[str, pd.DataFrame], metric: str, smooth: float) -> Curve | None:
    trials = [trial for trial in arm.trials.values() if trial.cell in by_cell]
    if not trials:
        return None
    frames = [by_cell[trial.cell].set_index("step")[metric] for trial in trials]
    step = np.unique(np.concatenate([frame.index for frame in frames]))
    seeds = np.stack([ema(frame.reindex(step).to_numpy(np.float64), smooth) for frame in frames])
    mean, half = _band(seeds)
    alive = [np.flatnonzero(np.isfinite(seed)) for seed in seeds]
    bad = [
        (seed, ok[-1])
        for seed, ok, trial in zip(seeds, alive, trials, strict=True)
        if trial.status == "diverged" and len(ok)
    ]
    return Curve(arm, step, seeds, mean, mean - half, mean + half, [(step[i], seed[i]) for seed, i in bad])


def _band(seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half-width of the pointwise t interval, [T]; NaN where a seed has no value, half 0 for one seed."""
    n = len(seeds)
    with np.errstate(invalid="ignore"):  # an infinite value leaves no band
        mean, sd = seeds.mean(axis=0), seeds.std(axis=0, ddof=1) if n > 1 else np.zeros(seeds.shape[1])
    return mean, special.stdtrit(n - 1, (1 + LEVEL) / 2) * sd / np.sqrt(n) if n > 1 else sd


def ema(values: np.ndarray, decay: float) -> np.ndarray:
    """Bias-corrected moving average, Σ decay^(t-s) x_s / Σ decay^(t-s) over s <= t; NaN from the first bad value on."""
    bad = np.maximum.accumulate(~np.isfinite(values))
    smoothed = pd.Series(np.where(bad, 0.0, values)).ewm(alpha=1 - decay, adjust=True).mean().to_numpy()
    return np.where(bad, np.nan, smoothed)
