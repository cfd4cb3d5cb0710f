"""One of several quantities that a table shows as its columns: which number, of which cells, reduced how."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.fits import FITS
from experiments.labels import key, pairs, short_names
from experiments.metrics import METRICS, Metric
from flax_tx.config import knobs
from flax_tx.errors import nearest

SAME_UNIT = ("mean", "worst", "least")  # fits whose number is better exactly when the metric's is


@dataclass(frozen=True)
class Column:
    """A metric per seed: of the arm's cell, or of its cells along the field `over` reduced by the fit `fit`.

    `at` fixes fields that have no other role. `format` is of the numbers, the metric's own by default.
    """

    metric: str
    title: str = ""
    at: dict[str, Any] = field(default_factory=dict)
    over: str = ""
    fit: str = ""
    format: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the column speaks for."""
        return (*self.at, *([self.over] if self.over else []))

    @property
    def heading(self) -> str:
        """The title, or what the column is, in words."""
        return self.title or self.words

    @property
    def words(self) -> str:
        """What the column is."""
        what = METRICS[self.metric].name if self.metric in METRICS else self.metric
        if self.fit in FITS:
            what = FITS[self.fit].words.format(metric=what, over=short_names([self.over])[self.over])
        return what + (f", {pairs(self.at)}" if self.at else "")

    @property
    def described(self) -> Metric:
        """Name, unit, direction and format of what is shown; a fit that changes the unit has no direction."""
        metric = METRICS[self.metric]
        if not self.fit or self.fit in SAME_UNIT:
            return dataclasses.replace(metric, format=self.format or metric.format)
        plain = ".2f" if FITS[self.fit].numeric else metric.format
        return dataclasses.replace(metric, unit="", lower_is_better=None, format=self.format or plain)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Column":
        """From `vars(column)`, after any trip through JSON."""
        return cls(**{**plain, "at": {name: key(value) for name, value in plain["at"].items()}})


def problems(column: Column, taken: Mapping[str, str], axes: Mapping[str, list]) -> Iterator[str]:
    """What is wrong with a column over these axes, a line each; `taken` are the roles of fields, by field."""
    where = f"table.columns_of {column.heading!r}"
    if column.metric not in METRICS:
        yield f"{where}: metric {column.metric!r}: no such metric{nearest(column.metric, METRICS)}"
    if bool(column.over) != bool(column.fit):
        yield f"{where}: over {column.over!r} and fit {column.fit!r}: expected both or neither"
    if column.fit and column.fit not in FITS:
        yield f"{where}: fit {column.fit!r}: expected one of {', '.join(FITS)}{nearest(column.fit, FITS)}"
    yield from _format_problems(where, column.format)
    for name in column.fields:
        if name not in {*axes, *knobs()}:
            yield f"{where}: {name!r}: no such field{nearest(name, axes) or nearest(name, knobs())}"
        elif taken.get(name) not in (None, "only") and not (taken[name] == "nuisance" and name in column.at):
            yield f"{where}: {name!r}: expected a field in one role; it is in {taken[name]} too"
    yield from _value_problems(where, column, axes)


def _format_problems(where: str, spec: str) -> Iterator[str]:
    try:
        format(1.0, spec)
    except ValueError:
        yield f"{where}: format {spec!r}: expected a format of numbers, such as '.2f'"


def _value_problems(where: str, column: Column, axes: Mapping[str, list]) -> Iterator[str]:
    if column.over in column.at:
        yield f"{where}: over {column.over!r}: expected a field that is not fixed by at"
    for name, value in column.at.items():
        if name in axes and key(value) not in [key(choice) for choice in axes[name]]:
            yield f"{where}: at {name} = {value!r}: expected one of {', '.join(map(repr, axes[name]))}"
    if column.fit in FITS and FITS[column.fit].numeric:
        for value in axes.get(column.over, ()):
            if not isinstance(value, int | float) or isinstance(value, bool):
                yield f"{where}: fit {column.fit!r}: expected numbers along {column.over}, got {value!r}"
