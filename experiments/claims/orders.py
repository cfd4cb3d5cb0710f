"""Conditions on orders and optima: a ranking of arms, and how far the best learning rate moves."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.claims.condition import (
    INCONCLUSIVE,
    Condition,
    Finding,
    brief,
    found,
    judge,
    measure,
)
from experiments.labels import pairs, say, short_names
from experiments.quantity import Quantity, Sample, is_number, ran
from experiments.results import Results
from experiments.statistics import spearman
from flax_tx.errors import UserError


@dataclass(frozen=True)
class Order(Condition):
    """The arms' means rise in the order of `quantities`: Spearman's rho with it at least `correlation`.

    REVERSED when rho <= -correlation. The effect is rho.
    """

    quantities: tuple[Quantity, ...]
    correlation: float = 0.7

    def __str__(self) -> str:
        stated = " < ".join(f"({quantity})" for quantity in self.quantities)
        return f"means in the order {stated}: Spearman's rho >= {brief(self.correlation)}"

    @property
    def measured(self) -> str:
        return "Spearman's rho"

    def evaluate(self, results: Results) -> Finding:
        """What the means say."""
        samples = measure(self.quantities, results)
        means = [one.estimate.mean for one in samples]
        known = all(map(math.isfinite, means))
        rho = spearman(range(len(means)), means) if known else math.nan
        word = judge(rho >= self.correlation, rho <= -self.correlation)
        n = min(one.estimate.n for one in samples)
        why = () if word != INCONCLUSIVE else ("neither this order nor its reverse" if known else "an arm has no mean",)
        return found(self, samples, results, word=word, effect=rho, n=n, reasons=why)

    def mistakes(self) -> Iterator[str]:
        if not 0 < self.correlation <= 1:
            yield f"correlation = {self.correlation!r}: expected more than 0, at most 1"
        if len(self.quantities) < 3:
            yield f"quantities: expected at least 3, got {len(self.quantities)}"


class Moves(Condition):
    """How far an arm's best nuisance value moves from the first to the last value of `over`, in powers of 2.

    An optimum at the edge of its grid lies there or beyond: the drift is at least what is measured.
    """

    over: str
    nuisance: str

    def drift(self, at: Mapping[str, Any], results: Results) -> tuple[Sample, float, str]:
        """The arm, log2(best at the last/best at the first), and why nothing can be said of it."""
        (one,) = measure([Quantity("params", at, over=self.over, fit="mean")], results)
        if one.absent:
            return one, math.nan, ""
        first, *_, last = one.arms.values()
        place = first.tuned.index(_of(self.nuisance, first.tuned))
        best = [arm.choice.value[place] for arm in (first, last)]
        if not all(is_number(value) and value > 0 for value in best) or not (first.choice.tuned and last.choice.tuned):
            return one, math.nan, f"{pairs(at)}: nothing to choose from"
        if first.choice.hopeless or last.choice.hopeless:
            return one, math.nan, f"{pairs(at)}: no value trains"
        edge = first.choice.edge[place] or last.choice.edge[place]
        return one, math.log2(best[1] / best[0]), f"{pairs(at)}: an optimum at the edge of its grid" * edge


@dataclass(frozen=True)
class Drift(Moves):
    """The best nuisance value moves by at most 2^±bound from the first to the last value of `over`; REVERSED: more."""

    at: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""
    bound: float = 1.0
    nuisance: str = ""  # which field, where the sweep retunes several

    def __str__(self) -> str:
        over, tuned = _short(self.over), _short(self.nuisance) or "nuisance value"
        return f"{pairs(self.at)}: |log2(best {tuned} at the last {over}/at the first)| <= {brief(self.bound)}"

    @property
    def measured(self) -> str:
        return "log2 of the optimum's drift"

    def evaluate(self, results: Results) -> Finding:
        """What the two optima say."""
        one, drift, why = self.drift(self.at, results)
        word = judge(abs(drift) <= self.bound and not why, abs(drift) > self.bound)
        return found(
            self, [ran(one)], results, word=word, effect=drift, n=len(one.statuses), reasons=(why,) * bool(why)
        )

    def mistakes(self) -> Iterator[str]:
        if not self.bound >= 0:
            yield f"bound = {self.bound!r}: expected at least 0"


@dataclass(frozen=True)
class LessDrift(Moves):
    """The best nuisance value of arm `at` moves less than that of arm `than`: |drift(than)| - |drift(at)| >= by.

    REVERSED when it moves more.
    """

    at: Mapping[str, Any] = field(default_factory=dict)
    than: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""
    by: float = 1.0
    nuisance: str = ""

    def __str__(self) -> str:
        tuned = _short(self.nuisance) or "nuisance value"
        moves = f"the best {tuned} moves over {_short(self.over)}"
        return f"log2 by which {moves}: ({pairs(self.than)}) minus ({pairs(self.at)}) >= {brief(self.by)}"

    @property
    def measured(self) -> str:
        return "log2 by which the optimum drifts less"

    def evaluate(self, results: Results) -> Finding:
        """What the four optima say."""
        (one, less, why), (other, more, why_not) = (self.drift(at, results) for at in (self.at, self.than))
        gained = abs(more) - abs(less)
        word = judge(gained >= self.by and not why, gained < min(self.by, 0) and not why_not)
        said = (f"{say(less)} against {say(more)}", *filter(None, (why, why_not)))
        samples, n = [ran(one), ran(other)], min(len(one.statuses), len(other.statuses))
        return found(self, samples, results, word=word, effect=gained, n=n, reasons=said)


def _of(name: str, tuned: tuple[str, ...]) -> str:
    if name in tuned or (not name and len(tuned) == 1):
        return name or tuned[0]
    raise UserError(
        f"nuisance = {name!r}: expected a field that the sweep retunes: {', '.join(tuned) or 'there is none'}"
    )


def _short(field: str) -> str:
    return short_names([field])[field]
