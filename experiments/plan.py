"""From a sweep file to validated cells, and from cells to programs: what would run, known before anything runs."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments import claims, figure_spec, records, table_spec
from experiments.labels import key
from experiments.records import ARM
from experiments.sweep_file import SweepFile
from flax_tx import cost, data
from flax_tx.config import (
    Config,
    broken_rules,
    essence,
    flatten,
    freeze,
    identity,
    late,
    put,
    resolve,
    structure,
    to_dict,
)
from flax_tx.data import Description
from flax_tx.errors import UserError

PROBE = 40  # forward passes that one probe costs, about


@dataclass(frozen=True)
class Plan:
    """Cells by id, programs by id (cells of equal structure, deepest first), and what they read and cost."""

    file: SweepFile
    axes: dict[str, list]
    cells: dict[str, Config]
    programs: dict[str, list[str]]
    data: dict[str, Description]  # by the JSON of the data group
    notes: tuple[str, ...] = ()
    arms: dict[str, str] = dataclasses.field(default_factory=dict)  # cell -> the name of its arm, where it has one

    def describe(self, cell: str) -> Description:
        """The data set of a cell."""
        return self.data[data_key(self.cells[cell])]

    def params(self, cell: str) -> int:
        """Parameters of a cell."""
        about, config = self.describe(cell), self.cells[cell]
        return cost.params(config.model, about.vocab_size, outputs(about), config.data.seq_len, about.task)

    def held(self, cell: str) -> int:
        """Parameters of a cell on each of its devices."""
        about, config = self.describe(cell), self.cells[cell]
        return cost.params_held(config, about.vocab_size, outputs(about), about.task)

    def flops(self, cell: str) -> float:
        """Floating-point operations of a whole cell: training and probes."""
        about, config = self.describe(cell), self.cells[cell]
        return steps_of_work(config) * cost.flops_per_step(config, outputs(about), about.task)


def outputs(about: Description) -> int:
    """Classes that a model chooses from."""
    return about.num_classes or about.vocab_size


def data_key(config: Config) -> str:
    """The data group of a config as text."""
    return json.dumps(to_dict(config.data), sort_keys=True)


def make(file: SweepFile, overrides: dict[str, Any]) -> Plan:
    """Every cell resolved and checked. Raises: UserError with all problems of all cells, each once."""
    base, problems = resolve(file.base | overrides)
    if problems:
        raise UserError(problems)
    notes = tuple(f"axis {name} held at {overrides[name]!r} by the command line" for name in replaced(file, overrides))
    file = held(file, overrides)
    configs, found = resolve_cells(file, base)
    arms, twice = name_arms(file, configs)
    found += twice
    axes = find_axes(file)
    found += shown_problems(file, axes)
    about, wrong = describe_data(configs)
    found += wrong
    if found:
        raise UserError(dict.fromkeys(found))
    cells = {identity(config): config for config in configs}
    return Plan(file, axes, cells, programs(cells), about, notes, arms)


def recorded(workdir: str) -> Plan:
    """The plan that a workdir was prepared for, from its records alone. Raises: UserError with all that is wrong."""
    manifest = records.sweep(workdir)
    cells = {cell: freeze(records.read_config(workdir, cell)) for cell in manifest["cells"]}
    about, wrong = describe_data([*cells.values()])
    if wrong:
        raise UserError(dict.fromkeys(wrong))
    file = SweepFile(workdir, manifest["name"], manifest["question"], {}, [], (), size=manifest.get("size"))
    arms = manifest.get("arms") or {}
    plan = Plan(file, manifest["axes"], cells, manifest["programs"], about, arms=arms)
    if changed := changed_data(plan, workdir, manifest):
        raise UserError(changed)
    return plan


def replaced(file: SweepFile, overrides: dict) -> list[str]:
    """The axes of the sweep that the command line holds at one value."""
    return [name for name in overrides if any(name in cell for cell in file.cells)]


def held(file: SweepFile, overrides: dict) -> SweepFile:
    """The sweep with its axes held at what the command line says, and the tables that are left by that.

    A table loses a baseline that is not among the cells any more; a further table whose `only` is not among them goes.
    """
    cells = [cell | {name: value for name, value in overrides.items() if name in cell} for cell in file.cells]

    fixed = {name: key(overrides[name]) for name in replaced(file, overrides)}

    def lost(values: Mapping[str, Any] | None) -> bool:
        return any(name in fixed and fixed[name] != key(value) for name, value in (values or {}).items())

    kept = [table for number, table in enumerate(file.tables) if not number or not lost(table.only)]
    tables = tuple(dataclasses.replace(table, baseline=None) if lost(table.baseline) else table for table in kept)
    return dataclasses.replace(file, cells=cells, tables=tables)


def resolve_cells(file: SweepFile, base: Config) -> tuple[list[Config], list[str]]:
    """The config of each cell and the problems of all."""
    if not file.cells:
        return [], [f"{file.path}: get_hyper() gives no cell; expected at least [{{}}]"]
    resolved = [resolve({k: v for k, v in cell.items() if k != ARM}, base) for cell in file.cells]
    return [config for config, _ in resolved], [problem for _, problems in resolved for problem in problems]


def name_arms(file: SweepFile, configs: list[Config]) -> tuple[dict[str, str], list[str]]:
    """Cell -> the name that the sweep gives its arm, and a line for every two names of one cell."""
    arms: dict[str, str] = {}
    found = []
    for cell, config in zip(file.cells, configs, strict=False):
        name, before = cell.get(ARM), arms.get(identity(config))
        if before not in (None, name):
            found.append(f"{ARM} = {name!r}: the same cell as the arm {before!r}; expected arms that differ in a field")
        if name is not None:
            arms.setdefault(identity(config), name)
    return arms, found


def find_axes(file: SweepFile) -> dict[str, list]:
    """Field -> its values, in the order in which the sweep has them; what goes with the named arms is no axis."""
    axes: dict[str, dict] = {}
    within: dict[tuple, set] = {}
    for cell in file.cells:
        for name, value in cell.items():
            axes.setdefault(name, {})[key(value)] = value
            within.setdefault((name, cell.get(ARM)), set()).add(key(value))
    free = {name for (name, arm), values in within.items() if arm is None or len(values) > 1 or name == ARM}
    common = {name for name in axes if all(name in cell for cell in file.cells)}
    return {
        name: list(values.values())
        for name, values in axes.items()
        if name in free or (name in common and len(values) == 1)
    }


def shown_problems(file: SweepFile, axes: dict[str, list]) -> list[str]:
    """What is wrong with the tables, the claims and the figure over these axes."""
    if not file.tables:
        return [f"{file.path}: get_table() gives no table; expected at least one"]
    found = [problem for table in file.tables for problem in table_spec.problems(table, axes)]
    found += claims.problems(file.claims, axes, file.table, file.cells)
    return found + (figure_spec.problems(file.figure, axes) if file.figure else [])


def describe_data(configs: list[Config]) -> tuple[dict[str, Description], list[str]]:
    """Each distinct data group once: its description, or what is wrong with it."""
    about, problems = {}, []
    for config in {data_key(config): config for config in configs}.values():
        wrong = data.problems(config.data)
        problems += wrong
        if not wrong:
            about[data_key(config)] = data.describe(config.data)
            resolved = put(config, {"data.task": about[data_key(config)].task})  # auto, of the catalogue
            problems += broken_rules(resolved)
    return about, problems


def programs(cells: dict[str, Config]) -> dict[str, list[str]]:
    """Program id -> its cells, the costliest program first, so that lanes end together."""
    members: dict[Config, list[str]] = {}
    for cell, config in cells.items():
        members.setdefault(structure(config), []).append(cell)
    ordered = sorted(members.items(), key=lambda item: -work(item[0]) * len(item[1]))
    return {program_id(program): found for program, found in ordered}


@functools.cache
def program_id(program: Config) -> str:
    """The name of a program: a hash of what is compiled."""
    return hashlib.sha256(json.dumps(essence(to_dict(program), late()), sort_keys=True).encode()).hexdigest()[:12]


def work(config: Config) -> float:
    """What decides how long a cell takes, for ordering."""
    return steps_of_work(config) * cost.flops_per_step(config, 256)


def devices(configs: Iterable[Config]) -> int:
    """Of the largest of these cells."""
    return max((config.mesh.size() for config in configs), default=1)


def steps_of_work(config: Config) -> float:
    """Training steps, and probes as the training steps that cost as much: a step is three forward passes."""
    return config.train.steps + PROBE / 3 * (config.probe.any_start() + config.probe.any_end())


def manifest(plan: Plan, command: str, provenance: dict) -> dict:
    """The content of sweep.json."""
    return {
        "name": plan.file.name,
        "size": plan.file.size,
        "question": plan.file.question,
        "command": command,
        "axes": plan.axes,
        "arms": plan.arms,
        "cells": list(plan.cells),
        "programs": plan.programs,
        "points": points(plan.cells),
        "table": plan.file.table.to_json(),
        "tables": [table.to_json() for table in plan.file.tables],
        "claims": [claim.to_json() for claim in plan.file.claims],
        "figure": plan.file.figure.to_json() if plan.file.figure else None,
        "data": {name: vars(about) for name, about in described(plan)},
        "provenance": provenance,
    }


def points(cells: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Cell -> its values of the fields that differ between cells: what it was, should its own config be lost."""
    groups = [field.name for field in dataclasses.fields(Config)]
    flat: dict[Any, dict] = {
        (name, group): flatten({name: to_dict(group)})
        for name in groups
        for group in {getattr(config, name): None for config in cells.values()}
    }
    values: dict[str, set] = {}
    for fields in flat.values():
        for name, value in fields.items():
            values.setdefault(name, set()).add(key(value))
    differing = {name for name, found in values.items() if len(found) > 1}
    differ = {group: {name: fields[name] for name in fields if name in differing} for group, fields in flat.items()}
    return {
        cell: {field: value for name in groups for field, value in differ[name, getattr(config, name)].items()}
        for cell, config in cells.items()
    }


def described(plan: Plan) -> Iterator[tuple[str, Description]]:
    """Data sets under their names; under the whole data group where one name is cut in several ways."""
    names = [json.loads(group)["name"] for group in plan.data]
    for (group, about), name in zip(plan.data.items(), names, strict=True):
        yield (name if names.count(name) == 1 else group), about


def changed_data(plan: Plan, workdir: str | os.PathLike, before: dict) -> list[str]:
    """Lines for the data sets whose records differ from those that the workdir's results were made from."""
    return [
        f"{workdir}: results were made from {name} with fingerprint {before['data'][name]['fingerprint']}, "
        f"but it is now {about.fingerprint}; expected another --workdir"
        for name, about in described(plan)
        if name in before["data"] and before["data"][name]["fingerprint"] != about.fingerprint
    ]
