"""What a claim is made of: a condition on the records, and what was found of it."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.claims.doubts import chosen, doubts
from experiments.plain import Plain
from experiments.quantity import Quantity, Sample, sample
from experiments.results import Results

HOLDS, REVERSED, INCONCLUSIVE, NOT_EXERCISED = "HOLDS", "REVERSED", "INCONCLUSIVE", "NOT EXERCISED"


@dataclass(frozen=True)
class Finding:
    """What the records say of a condition: effect and interval over n seeds, NaN if none.

    `of` says what the effect is a number of, `chosen` the tuned values that the arms were taken at, `lint` what to
    doubt.
    """

    word: str
    rule: str
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    of: str = ""
    reasons: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    lint: tuple[str, ...] = ()


class Condition(Plain):
    """A frozen dataclass that says what the records must show."""

    def __str__(self) -> str:
        """The rule in words."""
        raise NotImplementedError

    @property
    def measured(self) -> str:
        """What the effect is a number of."""
        raise NotImplementedError

    def evaluate(self, results: Results) -> Finding:
        """What the records say."""
        raise NotImplementedError

    def mistakes(self) -> Iterator[str]:
        """What is wrong with the numbers of this condition itself, a line each."""
        return iter(())


def measure(quantities: Sequence[Quantity], results: Results) -> list[Sample]:
    """The quantities of a condition."""
    return [sample(quantity, results) for quantity in quantities]


def judge(holds: bool, against: bool) -> str:
    """The word for two exclusive answers of which both may be no."""
    return HOLDS if holds else REVERSED if against else INCONCLUSIVE


def found(condition: Condition, samples: Sequence[Sample], results: Results, **what) -> Finding:
    """A finding with the doubts about its samples; NOT EXERCISED where the sweep has no such cells.

    A seed that ran and has no number leaves nothing to hold: survivors are no sample.
    """
    absent = tuple(dict.fromkeys(one.absent for one in samples if one.absent))
    if absent:
        return Finding(NOT_EXERCISED, str(condition), reasons=absent)
    trouble = tuple(dict.fromkeys(one.trouble for one in samples if one.trouble))
    about = {"of": condition.measured, "chosen": tuple(chosen(samples)), "lint": tuple(doubts(samples, results))}
    finding = Finding(rule=str(condition), **about, **what)
    word = INCONCLUSIVE if trouble else finding.word
    return dataclasses.replace(finding, word=word, reasons=(*trouble, *finding.reasons))


def brief(number: float | None) -> str:
    """Four digits of a number; None, no bound, is infinite."""
    return "∞" if number is None else f"{number:.4g}"
