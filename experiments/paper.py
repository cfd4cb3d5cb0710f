"""Published numbers beside ours: what a paper printed, as text, with a mark on every number that is not verified."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.labels import key

UNMARKED = "unmarked: verified against the paper"
MARKS = {"?": "sources disagree", "[M]": "from memory, unverified", "[V2]": "second hand, not seen in the paper"}
MARK = re.compile(r"\s*(\?|\[[^\[\]]*\])$")


@dataclass(frozen=True)
class Paper:
    """The published table.

    `spanners` are (heading, its columns); `rows` are by value of the table's first row field, or by its label, one text
    per column; `extra_rows` are (label, family, texts): published, not in the sweep. A text is a number or a word
    ("28.1", "diverged"), and may end in marks: MARKS says what each means.
    """

    title: str
    source: str
    spanners: tuple[tuple[str, tuple[str, ...]], ...]
    rows: dict[Any, tuple[str, ...]]
    extra_rows: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    note: str = ""

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(spanner, column) of every column."""
        return [(spanner, column) for spanner, columns in self.spanners for column in columns]

    @property
    def legend(self) -> str:
        """What the marks that occur mean."""
        used = {mark for texts in self._texts() for text in texts for mark in split(text)[1]}
        return "; ".join([UNMARKED, *(f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used)])

    def _texts(self) -> list[tuple[str, ...]]:
        return [*self.rows.values(), *(texts for _, _, texts in self.extra_rows)]

    def to_json(self) -> dict[str, Any]:
        """Plain dict and lists; `rows` as pairs, so that values keep their type."""
        return vars(self) | {"rows": [[value, list(texts)] for value, texts in self.rows.items()]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Paper":
        """The inverse of `to_json`, after any trip through JSON."""
        names = {field.name for field in dataclasses.fields(cls)}
        values = {name: key(value) for name, value in plain.items() if name in names}
        return cls(**values | {"rows": dict(values["rows"])})


def split(text: str) -> tuple[str, list[str]]:
    """A text without the marks at its end, and these: `28.8? [M]` -> ("28.8", ["?", "[M]"])."""
    found = []
    while match := MARK.search(text):
        found.insert(0, match[1])
        text = text[: match.start()]
    return text, found


def problems(paper: Paper) -> Iterator[str]:
    """What is wrong with a paper, a line each."""
    width = len(paper.columns)
    if not width:
        yield "table.paper.spanners: expected at least one (heading, columns)"
    for label, texts in [*paper.rows.items(), *((label, texts) for label, _, texts in paper.extra_rows)]:
        if isinstance(texts, str) or len(texts) != width:
            yield f"table.paper row {label!r}: expected {width} texts, one per column, got {texts!r}"
            continue
        for text in texts:
            yield from _text_problems(label, text)


def _text_problems(label: Any, text: Any) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"table.paper row {label!r}: {text!r}: expected a text"
        return
    for mark in split(text)[1]:
        if mark not in MARKS:
            yield f"table.paper row {label!r}: mark {mark} of {text!r}: expected one of {', '.join(MARKS)}"
