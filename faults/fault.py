"""A fault is a name, a number of tries and a function; a tally is what the tries cost."""

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from faults.arena import Arena


@dataclass
class Tally:
    """What tries of a fault cost: nothing, if all is well."""

    tries: int = 0
    lost: int = 0  # cells that had a result before the fault and have none, or another one, afterwards
    changed: int = 0  # cells whose numbers differ in any bit from those of a run without faults
    wrong: list[str] = field(default_factory=list)  # anything else: a traceback, an orphan, a file left behind

    def add(self, other: "Tally") -> None:
        """Takes the tries of another one in."""
        self.tries, self.lost, self.changed = (
            self.tries + other.tries,
            self.lost + other.lost,
            self.changed + other.changed,
        )
        self.wrong += other.wrong

    def clean(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.lost or self.changed or self.wrong)


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    `inject(arena, rng, tries)` does it that many times within an arena of its own; moments and places are drawn from
    `rng`. Several calls run at once, each with a part of the tries.
    """

    name: str
    tries: int
    inject: Callable[[Arena, random.Random, int], Tally]

    def times(self, share: float) -> "Fault":
        """The same with a share of the tries, at least one."""
        return dataclasses.replace(self, tries=max(1, round(self.tries * share)))
