"""Conditions on how runs end: a share of seeds that train or fail, and more failures here than there.

stuck and diverged are failures of training; `failed`, an error, is none and proves nothing.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.claims.condition import (
    NOT_EXERCISED,
    Condition,
    Finding,
    brief,
    found,
    judge,
    measure,
)
from experiments.claims.pairing import paired_cells
from experiments.labels import pairs
from experiments.quantity import Quantity, ran
from experiments.results import Results
from experiments.statistics import mcnemar, wilson

FAILURES = ("stuck", "diverged")
SIGNIFICANCE = 0.05


class Share(Condition):
    """A share of the planned seeds of an arm, at its best nuisance value. The interval is Wilson's."""

    at: Mapping[str, Any]
    share: float
    progress: float | None = None
    wants_training = True

    @property
    def measured(self) -> str:
        return "share of seeds that " + ("train" if self.wants_training else "are stuck or diverged")

    def evaluate(self, results: Results) -> Finding:
        """How many seeds train, and how many fail."""
        (one,) = measure([Quantity("params", self.at)], results)
        cells = [cell.name for arm in one.arms.values() for cell in arm.cells.values()]
        counts = [sum(ends(self, results, cell) for cell in cells) for ends in (Share.trains, Share.fails)]
        planned, (most, least) = len(one.statuses), counts if self.wants_training else counts[::-1]
        word = judge(planned and most >= self._needed(planned), planned and least >= self._needed(planned))
        low, high = wilson(most, planned)
        why = f"{counts[0]}/{planned} train, {counts[1]}/{planned} are stuck or diverged"
        effect = most / planned if planned else math.nan
        return found(self, [ran(one)], results, word=word, reasons=(why,), effect=effect, low=low, high=high, n=planned)

    def trains(self, results: Results, cell: str) -> bool:
        """Whether a cell is done, and far enough."""
        far = self.progress is None or results.number("progress", cell) >= self.progress
        return results.rows[cell]["status"] == "done" and far

    def fails(self, results: Results, cell: str) -> bool:
        """Whether a cell is stuck or diverged."""
        return results.rows[cell]["status"] in FAILURES

    def _needed(self, planned: int) -> float:
        return self.share * planned - 1e-9  # 0.8 of 5 are 4, in floats too

    def mistakes(self) -> Iterator[str]:
        if not 0 < self.share <= 1:
            yield f"share = {self.share!r}: expected more than 0, at most 1"


@dataclass(frozen=True)
class Trains(Share):
    """At least `share` of the seeds train (status done, and `progress` where it is given); REVERSED: they fail."""

    at: Mapping[str, Any] = field(default_factory=dict)
    share: float = 0.8
    progress: float | None = None

    def __str__(self) -> str:
        least = f" to progress {brief(self.progress)}" if self.progress is not None else ""
        return f"{pairs(self.at) or 'all'}: at least {100 * self.share:g} % of the seeds train{least}"


@dataclass(frozen=True)
class Fails(Share):
    """At least `share` of the seeds are stuck or diverged; REVERSED: they train."""

    at: Mapping[str, Any] = field(default_factory=dict)
    share: float = 0.8
    wants_training = False

    def __str__(self) -> str:
        return f"{pairs(self.at) or 'all'}: at least {100 * self.share:g} % of the seeds are stuck or diverged"


@dataclass(frozen=True)
class MoreFailures(Condition):
    """At least `by` more cells fail at_a than at_b, and McNemar's exact p < 0.05 over cells paired by every other axis.

    REVERSED when fewer fail at_a, with the same p. Pairs with a missing or failed cell are left out.
    """

    at_a: Mapping[str, Any] = field(default_factory=dict)
    at_b: Mapping[str, Any] = field(default_factory=dict)
    by: int = 1

    def __str__(self) -> str:
        a, b = pairs(self.at_a), pairs(self.at_b)
        return f"at least {self.by} more cells fail at ({a}) than at ({b}); McNemar's exact p < {SIGNIFICANCE}"

    @property
    def measured(self) -> str:
        return "more cells that fail, of n pairs"

    def evaluate(self, results: Results) -> Finding:
        """How many more fail."""
        partners, doubts = paired_cells(self.at_a, self.at_b, results)
        if not partners:
            return Finding(NOT_EXERCISED, str(self), reasons=("not in this size: such a pair of cells",))
        statuses = [tuple(results.rows[cell]["status"] for cell in pair) for pair in partners]
        ended = [pair for pair in statuses if all(status in ("done", *FAILURES) for status in pair)]
        bad = Counter((a in FAILURES, b in FAILURES) for a, b in ended)
        more, p = bad[True, False] - bad[False, True], mcnemar(bad[True, False], bad[False, True])
        word = judge(more >= self.by and p < SIGNIFICANCE, more < 0 and p < SIGNIFICANCE)
        failed = [bad[True, True] + bad[True, False], bad[True, True] + bad[False, True]]
        reasons = (f"{failed[0]} and {failed[1]} of {len(ended)} fail, p = {p:.2g}",)
        left_out = len(partners) - len(ended)
        lint = (f"{left_out} pairs with a missing or failed cell are left out",) * bool(left_out)
        numbers = {"effect": more, "n": len(ended), "of": self.measured}
        return Finding(word, str(self), reasons=reasons, lint=(*lint, *doubts), **numbers)

    def mistakes(self) -> Iterator[str]:
        if self.by < 1:
            yield f"by = {self.by!r}: expected at least 1"
