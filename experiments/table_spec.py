"""What a sweep wants to see as a table: the role of each axis. Data, checked before a launch."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.labels import key
from flax_tx.config import knobs
from flax_tx.errors import nearest

ROLES = ("rows", "columns", "split", "nuisance", "seeds")


@dataclass(frozen=True)
class Metric:
    """How a number of summary.json reads. `lower_is_better` None: neither, so arms are not compared by it."""

    name: str
    unit: str
    lower_is_better: bool | None
    format: str = ".3f"


LOSS, ACCURACY = "nats per {item}", "share correct"  # item: token or document, as the task has it
METRICS = {
    "val_loss": Metric("validation loss", LOSS, True),
    "test_loss": Metric("test loss", LOSS, True),
    "final_train_loss": Metric("final training loss", LOSS, True),
    "val_accuracy": Metric("validation accuracy", ACCURACY, False),
    "test_accuracy": Metric("test accuracy", ACCURACY, False),
    "progress": Metric(
        "progress (H1 - loss)/(H1 - H*)", "0 at the unigram entropy H1, 1 at the entropy rate H*", False
    ),
    "params": Metric("parameters", "numbers", None, ",.0f"),
    "flops_per_step": Metric("work", "FLOPs per step", None, ".3e"),
    "tokens_per_second": Metric("speed", "tokens/s", False, ",.0f"),
    "compile_seconds": Metric("compilation", "s", None, ".1f"),
    "train_seconds": Metric("training time", "s", None, ".1f"),
}


@dataclass(frozen=True)
class Table:
    """Roles of the axes of a sweep. `seeds` that are zipped count as one seed.

    `baseline` fixes some row fields: each row is compared with the row that has these values and else its own.
    `split` makes one sub-table per value.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...] = ()
    metric: str = "val_loss"
    lower_is_better: bool = True
    nuisance: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    baseline: dict[str, Any] | None = field(default=None)
    title: str = ""
    split: tuple[str, ...] = ()

    def roles(self) -> list[tuple[str, str]]:
        """(role, field) for every field that is named."""
        return [(role, name) for role in ROLES for name in getattr(self, role)]

    def to_json(self) -> dict[str, Any]:
        """Plain dict and lists."""
        plain = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Table":
        """The inverse of `to_json`, after any trip through JSON."""
        values = {name: key(value) if isinstance(value, list | tuple) else value for name, value in plain.items()}
        if values.get("baseline") is not None:
            values["baseline"] = {name: key(value) for name, value in values["baseline"].items()}
        return cls(**values)


def problems(spec: Table, axes: Mapping[str, list]) -> list[str]:
    """Everything that is wrong with a table over these axes, a line each; empty when it can be assembled."""
    return [*_field_problems(spec, axes), *_metric_problems(spec), *_baseline_problems(spec, axes)]


def _field_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    known = {*axes, *knobs()}
    roles: dict[str, str] = {}
    for role, name in spec.roles():
        if name not in known:
            yield f"table.{role} = {name!r}: no such field{nearest(name, axes) or nearest(name, known)}"
        elif name in roles:
            yield f"table.{role} = {name!r}: expected a field in one role; it is in {roles[name]} too"
        roles[name] = role
    for name, values in axes.items():
        if len(values) > 1 and name not in roles:
            yield f"table: axis {name!r} has no role; expected it in one of {', '.join(ROLES)}"


def _metric_problems(spec: Table) -> Iterator[str]:
    if spec.metric not in METRICS:
        yield f"table.metric = {spec.metric!r}: expected one of {', '.join(METRICS)}{nearest(spec.metric, METRICS)}"
    elif METRICS[spec.metric].lower_is_better not in (None, spec.lower_is_better):
        expected = METRICS[spec.metric].lower_is_better
        yield f"table.lower_is_better = {spec.lower_is_better}: expected {expected} for {spec.metric}"


def _baseline_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    for name, value in (spec.baseline or {}).items():
        if name not in spec.rows:
            yield f"table.baseline = {name!r}: expected a field of rows{nearest(name, spec.rows)}"
        elif name in axes and key(value) not in [key(choice) for choice in axes[name]]:
            choices = ", ".join(map(repr, axes[name]))
            yield f"table.baseline {name} = {value!r}: expected one of {choices}{nearest(value, map(str, axes[name]))}"
