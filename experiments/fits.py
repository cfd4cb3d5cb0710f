"""What a row of cells along one field is reduced to: slopes, goodness of fit, extremes, counts. Per seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.statistics import line


@dataclass(frozen=True)
class Fit:
    """compute(x, y) -> float over the cells of one seed, x ascending.

    Attributes:
      words: how it reads; {metric} and {over} are filled in.
      numeric: whether it needs x to be numbers; otherwise cells may come in the order of the axis.
      bad: y is NaN where a cell was stuck or diverged, and the fit knows what that means; otherwise such a cell
        leaves the seed without a number.
    """

    words: str
    compute: Callable[[np.ndarray, np.ndarray], float]
    numeric: bool = True
    bad: bool = False


def _log(y: np.ndarray) -> np.ndarray:
    """Natural logarithm; NaN where there is none."""
    return np.log(np.where(y > 0, y, np.nan))


def _largest(x: np.ndarray, y: np.ndarray) -> float:
    return max(x[np.isfinite(y)], default=0.0)


FITS = {
    "slope": Fit("slope of log {metric} over log {over}", lambda x, y: line(_log(x), _log(y)).slope),
    "exponential_slope": Fit("slope of log {metric} over {over}", lambda x, y: line(x, _log(y)).slope),
    "loglinear_slope": Fit("slope of {metric} over log2 {over}", lambda x, y: line(_log(x) / np.log(2), y).slope),
    "linear_slope": Fit("slope of {metric} over {over}", lambda x, y: line(x, y).slope),
    "slope_r2": Fit("R² of log {metric} over log {over}", lambda x, y: line(_log(x), _log(y)).r2),
    "loglinear_r2": Fit("R² of {metric} over log2 {over}", lambda x, y: line(_log(x) / np.log(2), y).r2),
    "linear_r2": Fit("R² of {metric} over {over}", lambda x, y: line(x, y).r2),
    "last_minus_first": Fit("{metric} at the largest {over} minus that at the smallest", lambda x, y: y[-1] - y[0]),
    "last_over_first": Fit("{metric} at the largest {over} over that at the smallest", lambda x, y: y[-1] / y[0]),
    "argmin": Fit("{over} of the least {metric}", lambda x, y: x[np.argmin(y)]),
    "argmax": Fit("{over} of the largest {metric}", lambda x, y: x[np.argmax(y)]),
    "mean": Fit("mean of {metric} over {over}", lambda x, y: y.mean(), numeric=False),
    "worst": Fit("largest {metric} over {over}", lambda x, y: y.max(), numeric=False),
    "least": Fit("least {metric} over {over}", lambda x, y: y.min(), numeric=False),
    "range": Fit("largest minus least {metric} over {over}", lambda x, y: np.ptp(y), numeric=False),
    "excess": Fit("mean of {metric} over {over} minus its least", lambda x, y: y.mean() - y.min(), numeric=False),
    "count": Fit("values of {over} that fail", lambda x, y: np.isnan(y).sum(), numeric=False, bad=True),
    "largest_trained": Fit("largest {over} that trains", _largest, bad=True),
}
