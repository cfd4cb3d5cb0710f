"""The one exception for what a user can mend: it carries one line per problem and never shows a traceback."""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what would break a line, or command a terminal


class UserError(Exception):
    """One or more mistakes of the user, each a line that names the field, the value, what was expected and the mend."""

    status = 2  # with which a command exits

    def __init__(self, problems: str | Iterable[str]):
        lines = [problems] if isinstance(problems, str) else problems
        self.problems = [CONTROL.sub(lambda found: repr(found[0])[1:-1], line) for line in lines]
        super().__init__("\n".join(self.problems))


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?` for the name in `names` that is spelt most like `name`, or nothing when none is near."""
    names = list(names)
    by_leaf = [candidate for candidate in names if candidate.rpartition(".")[2] == str(name).rpartition(".")[2]]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6) or by_leaf[:1]
    return f"; did you mean {close[0]}?" if close else ""


def together(*attempts: Callable[[], T]) -> list[T]:
    """What each attempt gives. Raises: UserError with every problem of them all."""
    found, problems = [], []
    for attempt in attempts:
        try:
            found.append(attempt())
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(dict.fromkeys(problems))
    return found
