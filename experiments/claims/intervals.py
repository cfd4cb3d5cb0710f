"""Conditions that an interval over seeds decides: inside a range, beyond a bound, one arm over another, equivalence."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.claims.condition import Condition, Finding, brief, found, judge, measure
from experiments.quantity import Quantity
from experiments.results import Results
from experiments.statistics import LEVEL, ONE_SIDED, Estimate, estimate


class Interval(Condition):
    """Decided by the t interval, at `level`, of a number per seed; with one seed there is none, and nothing holds."""

    level: ClassVar[float] = ONE_SIDED

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """One, or two that are paired by seed."""
        raise NotImplementedError

    @property
    def measured(self) -> str:
        return self.quantities[0].words

    def combine(self, *values: np.ndarray) -> np.ndarray:
        """The number per seed from those of the quantities."""
        return values[0]

    def holds(self, e: Estimate) -> bool:
        """Whether the interval shows what is claimed."""
        raise NotImplementedError

    def against(self, e: Estimate) -> bool:
        """Whether the interval shows the opposite."""
        raise NotImplementedError

    def shown(self, number: float) -> float:
        """An end of the interval, in the unit that is printed."""
        return number

    def evaluate(self, results: Results) -> Finding:
        """What the interval says."""
        samples = measure(self.quantities, results)
        shared = [seed for seed in samples[0].values if all(seed in one.values for one in samples)]
        with np.errstate(all="ignore"):
            e = estimate(self.combine(*(np.array([one.values[s] for s in shared]) for one in samples)), self.level)
        word = judge(self.holds(e), self.against(e))
        numbers = {"effect": self.shown(e.mean), "low": self.shown(e.low), "high": self.shown(e.high), "n": e.n}
        why = self.why(e) if word == "INCONCLUSIVE" else ()
        return found(self, samples, results, word=word, reasons=why, **numbers)

    def why(self, e: Estimate) -> tuple[str, ...]:
        """Why an interval decides nothing."""
        if e.n < 2:
            return (f"{e.n} seeds with a number: no interval" if e.n != 1 else "1 seed: no interval",)
        if not math.isfinite(e.mean):
            return ("a ratio of numbers that are not positive",)
        return ("the interval leaves both answers open",)


@dataclass(frozen=True)
class Within(Interval):
    """The 95 % interval of q lies inside [low, high]; REVERSED when wholly outside. None: no bound on that side."""

    q: Quantity
    low: float | None = None
    high: float | None = None
    level: ClassVar[float] = LEVEL

    def __str__(self) -> str:
        low = brief(self.low) if self.low is not None else "-∞"
        return f"{self.q}: 95 % interval inside [{low}, {brief(self.high)}]"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (self.q,)

    def holds(self, e: Estimate) -> bool:
        low, high = ends(self.low, self.high)
        return low <= e.low and e.high <= high

    def against(self, e: Estimate) -> bool:
        low, high = ends(self.low, self.high)
        return e.high < low or e.low > high

    def mistakes(self) -> Iterator[str]:
        return misordered(self.low, self.high)


@dataclass(frozen=True)
class Above(Interval):
    """The one-sided 95 % lower bound of q is above `bound`; REVERSED when the upper bound is below it."""

    q: Quantity
    bound: float

    def __str__(self) -> str:
        return f"{self.q}: one-sided 95 % lower bound > {brief(self.bound)}"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (self.q,)

    def holds(self, e: Estimate) -> bool:
        return e.low > self.bound

    def against(self, e: Estimate) -> bool:
        return e.high < self.bound


@dataclass(frozen=True)
class Below(Interval):
    """The one-sided 95 % upper bound of q is below `bound`; REVERSED when the lower bound is above it."""

    q: Quantity
    bound: float

    def __str__(self) -> str:
        return f"{self.q}: one-sided 95 % upper bound < {brief(self.bound)}"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (self.q,)

    def holds(self, e: Estimate) -> bool:
        return e.high < self.bound

    def against(self, e: Estimate) -> bool:
        return e.low > self.bound


@dataclass(frozen=True)
class Greater(Interval):
    """a exceeds b, paired by seed: the one-sided 95 % lower bound of the mean of a - b is above `margin`.

    With `ratio`, a/b (the geometric mean over seeds) exceeds the factor `margin`, 2 for twice. A negative margin (a
    factor below 1) asks for non-inferiority. REVERSED when the upper bound is below margin and below no difference.
    """

    a: Quantity
    b: Quantity
    margin: float = 0.0
    ratio: bool = False

    def __str__(self) -> str:
        sign = "/" if self.ratio else "-"
        return f"({self.a}) {sign} ({self.b}), paired: one-sided 95 % lower bound > {brief(self.margin)}"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return self.a, self.b

    @property
    def measured(self) -> str:
        return between(self.a, self.b, self.ratio)

    def combine(self, *values: np.ndarray) -> np.ndarray:
        a, b = (np.log(np.where(v > 0, v, np.nan)) for v in values) if self.ratio else values
        return a - b

    def shown(self, number: float) -> float:
        return float(np.exp(number)) if self.ratio else number

    def holds(self, e: Estimate) -> bool:
        return e.low > self._threshold

    def against(self, e: Estimate) -> bool:
        return e.high < min(self._threshold, 0)

    @property
    def _threshold(self) -> float:
        return math.log(self.margin) if self.ratio else self.margin

    def mistakes(self) -> Iterator[str]:
        if self.ratio and not self.margin > 0:
            yield f"margin = {self.margin!r}: expected a factor above 0 beside ratio, such as 1"


@dataclass(frozen=True)
class Equivalent(Interval):
    """a and b differ by less than `margin`: two one-sided tests, the 90 % interval of the paired a - b inside ±margin.

    REVERSED when the interval lies wholly outside.
    """

    a: Quantity
    b: Quantity
    margin: float

    def __str__(self) -> str:
        return f"({self.a}) - ({self.b}), paired: 90 % interval inside ±{brief(self.margin)}"

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return self.a, self.b

    @property
    def measured(self) -> str:
        return between(self.a, self.b)

    def combine(self, *values: np.ndarray) -> np.ndarray:
        return values[0] - values[1]

    def holds(self, e: Estimate) -> bool:
        return -self.margin < e.low and e.high < self.margin

    def against(self, e: Estimate) -> bool:
        return e.high < -self.margin or e.low > self.margin

    def mistakes(self) -> Iterator[str]:
        if not self.margin > 0:
            yield f"margin = {self.margin!r}: expected more than 0"


def between(a: Quantity, b: Quantity, ratio: bool = False) -> str:
    """What is compared, in words: `difference of val_loss`."""
    what = ("difference", "ratio")[ratio]
    return f"{what} of {a.words}" if a.words == b.words else f"{what} of {a.words} and {b.words}"


def ends(low: float | None, high: float | None) -> tuple[float, float]:
    """A range whose missing ends are infinite."""
    return -math.inf if low is None else low, math.inf if high is None else high


def misordered(low: float | None, high: float | None) -> Iterator[str]:
    """A line for a range that nothing can be in, or everything is."""
    lower, upper = ends(low, high)
    if lower > upper or (low is None and high is None):
        yield f"low = {low!r}, high = {high!r}: expected low <= high, and at least one of them"
