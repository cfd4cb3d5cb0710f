"""Conditions that every seed decides by itself: exact identities, which no statistics soften."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.claims.condition import (
    HOLDS,
    INCONCLUSIVE,
    NOT_EXERCISED,
    REVERSED,
    Condition,
    Finding,
    brief,
    found,
    measure,
)
from experiments.claims.intervals import ends, misordered
from experiments.claims.pairing import paired_cells
from experiments.labels import pairs
from experiments.quantity import Quantity
from experiments.results import Results


@dataclass(frozen=True)
class Every(Condition):
    """Every seed's q lies inside [low, high]; REVERSED when one does not. The interval shown is the seeds' range."""

    q: Quantity
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        low = brief(self.low) if self.low is not None else "-∞"
        return f"{self.q}: every seed inside [{low}, {brief(self.high)}]"

    @property
    def measured(self) -> str:
        return self.q.words

    def evaluate(self, results: Results) -> Finding:
        """What the seeds say, each by itself."""
        samples = measure([self.q], results)
        values = np.array(list(samples[0].values.values()))
        low, high = ends(self.low, self.high)
        outside = int(((values < low) | (values > high)).sum())
        word = REVERSED if outside else HOLDS if len(values) else INCONCLUSIVE
        why = (f"{outside}/{len(values)} outside",) if outside else () if len(values) else ("no seed has a number",)
        finding = found(self, samples, results, word=word, reasons=why, n=len(values), **_span(values))
        return dataclasses.replace(finding, word=REVERSED) if outside else finding

    def mistakes(self) -> Iterator[str]:
        return misordered(self.low, self.high)


@dataclass(frozen=True)
class Same(Condition):
    """max|a - b|/RMS(a) <= tolerance for the probe `of` of the cells at_a and at_b, paired by every other axis.

    REVERSED when one pair differs by more, or has another number of entries. The effect is the largest difference.
    """

    at_a: Mapping[str, Any] = field(default_factory=dict)
    at_b: Mapping[str, Any] = field(default_factory=dict)
    of: str = "logits"
    tolerance: float = 1e-5

    def __str__(self) -> str:
        return f"{self.of} of ({pairs(self.at_a)}) and of ({pairs(self.at_b)}): max|a - b|/RMS(a) <= {self.tolerance:g}"

    @property
    def measured(self) -> str:
        return f"max|a - b|/RMS(a) of {self.of}"

    def evaluate(self, results: Results) -> Finding:
        """What the pairs of cells say, each by itself."""
        partners, doubts = paired_cells(self.at_a, self.at_b, results)
        if not partners:
            return Finding(NOT_EXERCISED, str(self), reasons=("not in this size: such a pair of cells",))
        arrays = [tuple(results.probe(cell, self.of) for cell in pair) for pair in partners]
        errors = [_difference(a, b) for a, b in arrays if a is not None and b is not None]
        missing, wrong = len(partners) - len(errors), sum(not error <= self.tolerance for error in errors)
        reasons = [f"{wrong}/{len(partners)} pairs differ"] * bool(wrong)
        reasons += [f"{missing}/{len(partners)} pairs have no probe {self.of!r}"] * bool(missing)
        word = REVERSED if wrong else INCONCLUSIVE if missing else HOLDS
        numbers = {
            **_span(np.array(errors)),
            "effect": max(errors, default=math.nan),
            "n": len(errors),
            "of": self.measured,
        }
        return Finding(word, str(self), reasons=tuple(reasons), lint=doubts, **numbers)

    def mistakes(self) -> Iterator[str]:
        if not self.tolerance >= 0:
            yield f"tolerance = {self.tolerance!r}: expected at least 0"


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """max|a - b|/RMS(a); infinite for arrays of different lengths or with entries that are not finite."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.inf
    error, size = float(np.abs(a - b).max()), math.sqrt(float(np.mean(a**2)))
    return error / size if size else (math.inf if error else 0.0)


def _span(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    return {"effect": float(values.mean()), "low": float(values.min()), "high": float(values.max())}
