"""Conditions of conditions."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.claims.condition import HOLDS, INCONCLUSIVE, NOT_EXERCISED, REVERSED, Condition, Finding
from experiments.results import Results

OPPOSITE = {HOLDS: REVERSED, REVERSED: HOLDS}


@dataclass(frozen=True)
class Not(Condition):
    """HOLDS where the condition is REVERSED, and the other way round."""

    condition: Condition

    def __str__(self) -> str:
        return f"not: {self.condition}"

    def evaluate(self, results: Results) -> Finding:
        """The opposite."""
        finding = self.condition.evaluate(results)
        return replace(finding, word=OPPOSITE.get(finding.word, finding.word), rule=str(self))


class Several(Condition):
    """One word from those of several conditions; NOT EXERCISED where one is and the others do not decide alone."""

    conditions: tuple[Condition, ...]
    between = ""
    decisive = ""  # the word that one condition is enough for
    unanimous = ""  # the word that all must have

    def __str__(self) -> str:
        return f" {self.between} ".join(f"[{condition}]" for condition in self.conditions)

    def evaluate(self, results: Results) -> Finding:
        """The word, with the numbers of the first condition that has it."""
        findings = [condition.evaluate(results) for condition in self.conditions]
        word = self.word([finding.word for finding in findings])
        shown = next((finding for finding in findings if finding.word == word), findings[0])
        reasons, chosen, lint = (
            tuple(dict.fromkeys(itertools.chain(*(getattr(finding, name) for finding in findings))))
            for name in ("reasons", "chosen", "lint")
        )
        return replace(shown, word=word, rule=str(self), reasons=reasons, chosen=chosen, lint=lint)

    def word(self, words: list[str]) -> str:
        """The word of all."""
        if self.decisive in words:
            return self.decisive
        if NOT_EXERCISED in words:
            return NOT_EXERCISED
        return self.unanimous if set(words) == {self.unanimous} else INCONCLUSIVE

    def mistakes(self) -> Iterator[str]:
        if not self.conditions:
            yield "conditions: expected at least one"


@dataclass(frozen=True)
class Any(Several):
    """One HOLDS is enough; REVERSED when all are."""

    conditions: tuple[Condition, ...]
    between, decisive, unanimous = "or", HOLDS, REVERSED


@dataclass(frozen=True)
class All(Several):
    """All must HOLD; one REVERSED is enough against."""

    conditions: tuple[Condition, ...]
    between, decisive, unanimous = "and", REVERSED, HOLDS
