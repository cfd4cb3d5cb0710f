"""What a sweep wants to see as a picture: panels of lines or a heat map. Data, checked before a launch."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.labels import key
from experiments.metrics import METRICS
from flax_tx.config import knobs
from flax_tx.errors import nearest

KINDS = ("lines", "heat")
INDEX = "index"


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    `y` is a metric of experiments.metrics or the quantity of a probe; `x` a field of the config or, for a quantity,
    "index": its layers or sublayers. `at` fixes fields: only those cells are in the panel. kind "lines": one line per
    arm, mean and 95 % t band over seeds. kind "heat": `x` and `y_field` are fields, the colour is the mean of `y`.
    `shown` (low, high) keeps what is outside out of the range of a logarithmic y: what explodes leaves the panel.
    """

    y: str
    x: str = INDEX
    log_x: bool = False
    log_y: bool = False
    title: str = ""
    at: dict[str, Any] = field(default_factory=dict)
    kind: str = "lines"
    y_field: str = ""
    shown: tuple[float, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the panel spreads its cells over."""
        return tuple(name for name in (self.x, self.y_field) if name and name != INDEX)


@dataclass(frozen=True)
class Figure:
    """Panels that share their lines.

    `lines` are the fields that distinguish lines, without any the rows of the sweep's table; `labels` says how their
    values read; `columns` is how many panels stand beside each other.
    """

    panels: tuple[Panel, ...]
    lines: tuple[str, ...] = ()
    title: str = ""
    labels: dict[Any, str] = field(default_factory=dict)
    columns: int = 3

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists; `labels` as pairs, so that values keep their type."""
        plain = dataclasses.asdict(self)
        pairs = [list(pair) for pair in self.labels.items()]
        return plain | {"panels": list(plain["panels"]), "lines": list(self.lines), "labels": pairs}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Figure":
        """The inverse of `to_json`, after any trip through JSON."""
        panels = tuple(
            Panel(**{**p, "at": {name: key(v) for name, v in p["at"].items()}, "shown": tuple(p.get("shown", ()))})
            for p in plain["panels"]
        )
        labels = {key(value): text for value, text in plain["labels"]}
        return cls(**{**plain, "panels": panels, "lines": tuple(plain["lines"]), "labels": labels})


def problems(figure: Figure, axes: Mapping[str, list]) -> list[str]:
    """Everything that is wrong with a figure over these axes, a line each."""
    found = [] if figure.panels else ["figure.panels = (): expected at least one Panel"]
    if figure.columns < 1:
        found.append(f"figure.columns = {figure.columns}: expected at least 1")
    found += _unknown("figure.lines", figure.lines, axes)
    for number, panel in enumerate(figure.panels):
        found += _panel_problems(f"figure.panels[{number}]", panel, axes)
    return found


def _unknown(where: str, names: tuple[str, ...], axes: Mapping[str, list]) -> Iterator[str]:
    known = {*axes, *knobs()}
    for name in names:
        if name not in known:
            yield f"{where} = {name!r}: no such field{nearest(name, axes) or nearest(name, known)}"


def _panel_problems(where: str, panel: Panel, axes: Mapping[str, list]) -> Iterator[str]:
    if not panel.y:
        yield f"{where}.y = '': expected a metric or the quantity of a probe"
    if panel.kind not in KINDS:
        yield f"{where}.kind = {panel.kind!r}: expected one of {', '.join(KINDS)}{nearest(panel.kind, KINDS)}"
    if panel.kind == "heat" and (panel.x == INDEX or not panel.y_field):
        yield f"{where}: kind heat expected fields as x and y_field, got {panel.x!r} and {panel.y_field!r}"
    if panel.kind == "heat" and panel.y not in METRICS:
        yield f"{where}.y = {panel.y!r}: expected one of {', '.join(METRICS)} for kind heat{nearest(panel.y, METRICS)}"
    if panel.shown and not (panel.log_y and len(panel.shown) == 2 and 0 <= panel.shown[0] < panel.shown[1]):
        yield f"{where}.shown = {panel.shown!r}: expected (low, high) of a panel with log_y, 0 <= low < high"
    if panel.kind == "lines" and panel.y_field:
        yield f"{where}.y_field = {panel.y_field!r}: expected it for kind heat alone"
    yield from _unknown(f"{where}.x", panel.fields[:1], axes)
    yield from _unknown(f"{where}.y_field", panel.fields[1:], axes)
    yield from _unknown(f"{where}.at", tuple(panel.at), axes)
