"""A claim of a paper: its statement, the rule that decides it, and the check that its regime was entered."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from experiments.claims.condition import HOLDS, INCONCLUSIVE, NOT_EXERCISED, REVERSED, Condition, Finding
from experiments.plain import Plain
from experiments.records import plain
from experiments.results import Results
from flax_tx.errors import UserError

CLAIM_KINDS = ("init", "training", "exact")


@dataclass(frozen=True)
class Verdict:
    """HOLDS, REVERSED, INCONCLUSIVE or NOT EXERCISED, with what was found of each condition."""

    claim: "Claim"
    word: str
    rule: tuple[Finding, ...]
    check: tuple[Finding, ...]

    @property
    def deciding(self) -> Finding:
        """The finding whose numbers stand for the verdict: the first with its word, else the first."""
        return next((finding for finding in (*self.rule, *self.check) if finding.word == self.word), self.rule[0])

    @property
    def lint(self) -> list[str]:
        """What to doubt, each once."""
        return list(dict.fromkeys(itertools.chain(*(finding.lint for finding in (*self.rule, *self.check)))))

    def to_json(self) -> dict[str, Any]:
        """The claim, the word, the numbers and every finding."""
        numbers = {name: getattr(self.deciding, name) for name in ("effect", "low", "high", "n", "of")}
        parts = {name: [asdict(finding) for finding in getattr(self, name)] for name in ("rule", "check")}
        named = {name: getattr(self.claim, name) for name in ("id", "statement", "source", "kind", "caveat")}
        return plain({**named, "verdict": self.word, **numbers, **parts, "lint": self.lint})


@dataclass(frozen=True)
class Claim(Plain):
    """What a paper says, as conditions that the records of a sweep decide.

    Attributes:
      id: of the claim, once per sweep, such as DN-1.
      statement, source: the claim in words, and where it is made (paper, equation or table).
      kind: "init" (before training), "training", or "exact" (an identity).
      rule: HOLDS when every condition does, REVERSED when one is.
      check: the manipulation check: unless every condition HOLDS, the claim is NOT EXERCISED.
      caveat: what the verdict does not say.
    """

    id: str
    statement: str
    source: str
    kind: str
    rule: tuple[Condition, ...]
    check: tuple[Condition, ...] = ()
    caveat: str = ""

    def evaluate(self, results: Results) -> Verdict:
        """The verdict, from the records alone."""
        rule, check = ([_evaluate(condition, results) for condition in part] for part in (self.rule, self.check))
        return Verdict(self, verdict_of([f.word for f in rule], [f.word for f in check]), tuple(rule), tuple(check))


def verdict_of(rule: Iterable[str], check: Iterable[str]) -> str:
    """One word from those of the conditions."""
    rule, check = set(rule), set(check)
    if NOT_EXERCISED in rule or check - {HOLDS}:
        return NOT_EXERCISED
    return REVERSED if REVERSED in rule else HOLDS if rule == {HOLDS} else INCONCLUSIVE


def _evaluate(condition: Condition, results: Results) -> Finding:
    """The finding; a condition that cannot be asked of these records decides nothing, and says why."""
    try:
        return condition.evaluate(results)
    except UserError as error:
        return Finding(INCONCLUSIVE, str(condition), reasons=tuple(error.problems))
