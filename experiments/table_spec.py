"""What a sweep wants to see as a table: the role of each axis. Data, checked before a launch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments import column, paper
from experiments.column import Column
from experiments.labels import key, say
from experiments.metrics import METRICS
from experiments.paper import Paper
from flax_tx.config import knobs
from flax_tx.errors import nearest

ROLES = ("rows", "columns", "split", "nuisance", "seeds")


@dataclass(frozen=True)
class Table:
    """Roles of the axes of a sweep. `seeds` that are zipped count as one seed.

    `baseline` fixes some row fields: each row is compared with the row that has these values and else its own.
    `split` makes one sub-table per value. `only` keeps the cells with these values. `columns_of` shows several
    quantities as columns, in place of `columns`; `metric` then chooses the nuisance values, once per row.
    `groups` puts the values of the first row field into families, in this order; `labels` says how values read;
    `theory` holds, by column title and value of the first row field, what ours is to be compared with.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...] = ()
    metric: str = "val_loss"
    lower_is_better: bool = True
    nuisance: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    baseline: dict[str, Any] | None = None
    title: str = ""
    split: tuple[str, ...] = ()
    only: dict[str, Any] = field(default_factory=dict)
    columns_of: tuple[Column, ...] = ()
    groups: dict[Any, str] = field(default_factory=dict)
    labels: dict[Any, str] = field(default_factory=dict)
    theory: dict[str, dict[Any, float | str]] = field(default_factory=dict)
    paper: Paper | None = None

    def roles(self) -> list[tuple[str, str]]:
        """(role, field) for every field that is named."""
        return [(role, name) for role in ROLES for name in getattr(self, role)]

    @property
    def along(self) -> tuple[str, ...]:
        """The fields without a role of their own that columns fix or reduce over."""
        named = {name for _, name in self.roles()} | set(self.only)
        return tuple(dict.fromkeys(name for each in self.columns_of for name in each.fields if name not in named))

    def label(self, value: Any) -> str:
        """How a value of a row or a column reads."""
        return self.labels.get(key(value)) or say(value)

    def of_row(self, by_value: Mapping[Any, Any], row: tuple) -> Any:
        """What a mapping by the value of the first row field, or by its label, holds for a row; None where nothing."""
        names = (key(row[0]), self.label(row[0]), say(row[0])) if row else ()
        return next((by_value[name] for name in names if name in by_value), None)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists; what is by value as pairs, so that values keep their type."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return plain | {
            "columns_of": [vars(each) for each in self.columns_of],
            "groups": _as_pairs(self.groups),
            "labels": _as_pairs(self.labels),
            "theory": {title: _as_pairs(values) for title, values in self.theory.items()},
            "paper": self.paper and self.paper.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Table":
        """The inverse of `to_json`, after any trip through JSON; what an older manifest lacks has its default."""
        values = {name: key(value) if isinstance(value, list | tuple) else value for name, value in plain.items()}
        if values.get("paper"):
            values["paper"] = Paper.from_json(values["paper"])
        if plain.get("columns_of"):
            values["columns_of"] = tuple(map(Column.from_json, plain["columns_of"]))
        for name in ("baseline", "only"):
            if values.get(name):
                values[name] = {field: key(value) for field, value in values[name].items()}
        values |= {name: dict(values[name]) for name in ("groups", "labels") if name in values}
        values["theory"] = {title: dict(key(pairs)) for title, pairs in values.get("theory", {}).items()}
        return cls(**values)


def _as_pairs(by_value: Mapping[Any, Any]) -> list[list]:
    return [[value, said] for value, said in by_value.items()]


def problems(spec: Table, axes: Mapping[str, list]) -> list[str]:
    """Everything that is wrong with a table over these axes, a line each; empty when it can be assembled."""
    checks = (_field_problems, _metric_problems, _value_problems, _column_problems, _family_problems, _beside_problems)
    return [line for check in checks for line in check(spec, axes)]


def _field_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    known = {*axes, *knobs()}
    roles: dict[str, str] = {}
    for role, name in [*spec.roles(), *(("only", name) for name in spec.only)]:
        if name not in known:
            yield f"table.{role} = {name!r}: no such field{nearest(name, axes) or nearest(name, known)}"
        elif name in roles and role != "only":
            yield f"table.{role} = {name!r}: expected a field in one role; it is in {roles[name]} too"
        roles.setdefault(name, role)
    for name, values in axes.items():
        if len(values) > 1 and name not in roles and name not in spec.along:
            yield f"table: axis {name!r} has no role; expected it in one of {', '.join(ROLES)}, only"


def _metric_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    if spec.metric not in METRICS:
        yield f"table.metric = {spec.metric!r}: expected one of {', '.join(METRICS)}{nearest(spec.metric, METRICS)}"
    elif METRICS[spec.metric].lower_is_better not in (None, spec.lower_is_better):
        expected = METRICS[spec.metric].lower_is_better
        yield f"table.lower_is_better = {spec.lower_is_better}: expected {expected} for {spec.metric}"


def _value_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    for name in spec.baseline or {}:
        if name not in spec.rows:
            yield f"table.baseline = {name!r}: expected a field of rows{nearest(name, spec.rows)}"
    within = {name: value for name, value in (spec.baseline or {}).items() if name in spec.rows}
    for where, fixed in (("baseline", within), ("only", spec.only)):
        for name, value in fixed.items():
            if name in axes and key(value) not in [key(choice) for choice in axes[name]]:
                choices, meant = ", ".join(map(repr, axes[name])), nearest(value, map(str, axes[name]))
                yield f"table.{where} {name} = {value!r}: expected one of {choices}{meant}"


def _column_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    taken = {name: role for role, name in spec.roles()} | dict.fromkeys(spec.only, "only")
    if spec.columns and spec.columns_of:
        yield f"table.columns = {spec.columns!r}: expected none beside columns_of"
    for i, each in enumerate(spec.columns_of):
        yield from column.problems(each, taken, axes)
        if each.heading in [other.heading for other in spec.columns_of[:i]]:
            yield f"table.columns_of {each.heading!r}: expected another title; two columns have this one"
        for name in spec.along:
            if len(axes.get(name, ())) > 1 and name not in each.fields:
                yield f"table.columns_of {each.heading!r}: axis {name!r} varies; expected it in at or over"


def _row_names(spec: Table, axes: Mapping[str, list]) -> set[str]:
    """How rows may be called: by value, also of another size of the sweep, or by label."""
    if not spec.rows:
        return set()
    known = knobs().get(spec.rows[0])
    values = [*axes.get(spec.rows[0], ()), *(known.metadata.get("among", ()) if known else ())]
    return {name for value in values for name in (str(value), spec.label(value), say(value))} | {*spec.labels.values()}


def _family_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    yield from _unknown_rows("groups", spec.groups, spec, axes)
    for value in axes.get(spec.rows[0], ()) if spec.rows and spec.groups else ():
        if spec.of_row(spec.groups, (key(value),)) is None:
            yield f"table.groups: {spec.rows[0]} = {value!r} has no family{nearest(str(value), map(str, spec.groups))}"


def _beside_problems(spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    headings = [each.heading for each in spec.columns_of]
    for title, values in spec.theory.items():
        if headings and title not in headings:
            yield f"table.theory = {title!r}: expected the title of a column{nearest(title, headings)}"
        yield from _unknown_rows(f"theory {title!r}", values, spec, axes)
    for value, label in spec.labels.items():
        if not isinstance(label, str):
            yield f"table.labels {value!r} = {label!r}: expected a text"
    if spec.paper:
        yield from _unknown_rows("paper.rows", spec.paper.rows, spec, axes)
        yield from paper.problems(spec.paper)


def _unknown_rows(where: str, by_value: Mapping[Any, Any], spec: Table, axes: Mapping[str, list]) -> Iterator[str]:
    names = _row_names(spec, axes)
    for value in by_value:
        if isinstance(value, str) and value not in names:
            yield f"table.{where}: {value!r}: no such row{nearest(value, names)}"
