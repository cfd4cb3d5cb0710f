"""Cells -> arms -> comparisons: everything a table says, as data, before anything is drawn.

An arm is one place of the table: a row, a column and a sub-table. It is judged at its own best value of the nuisance
fields, over all its seeds, and against the arm of its column that holds the baseline's row values.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from experiments import records, statistics
from experiments.labels import key, say
from experiments.table_spec import METRICS, Metric, Table, problems
from flax_tx.errors import UserError, nearest

SIGNIFICANCE = 0.05
BAD = ("stuck", "diverged", "failed")


class Trial(NamedTuple):
    """One cell as a table sees it: its status, the number shown, and the number by which a nuisance is chosen."""

    cell: str
    status: str
    shown: float
    judged: float


class Place(NamedTuple):
    """Where in the table: values of the fields of spec.split, spec.rows and spec.columns."""

    split: tuple
    row: tuple
    column: tuple


@dataclass(frozen=True)
class Comparison:
    """The arm minus its baseline, paired by seed; `verdict` is better, worse or not separated at 5 % after Holm."""

    difference: statistics.Difference
    p_holm: float
    verdict: str


@dataclass(frozen=True)
class Arm:
    """One place of the table at its best nuisance value."""

    place: Place
    choice: statistics.Choice
    trials: dict[tuple, Trial]  # by seed
    is_baseline: bool = False
    comparison: Comparison | None = None

    @property
    def planned(self) -> int:
        """Seeds that the sweep planned for this arm."""
        return len(self.trials)

    @property
    def counts(self) -> Counter:
        """Seeds by status."""
        return Counter(trial.status for trial in self.trials.values())

    @property
    def bad(self) -> int:
        """Seeds that were stuck, diverged or failed."""
        return sum(self.counts[status] for status in BAD)

    @property
    def values(self) -> dict[tuple, float]:
        """The metric by seed, of the seeds that trained."""
        return trained(self.trials, "shown")

    @property
    def estimate(self) -> statistics.Estimate:
        """Mean and interval over the seeds that trained."""
        return statistics.estimate(self.values.values())


@dataclass(frozen=True)
class Report:
    """All arms of a sweep under one metric, with what captions need."""

    workdir: str
    manifest: dict
    frame: pd.DataFrame
    spec: Table
    metric: str
    judged_by: str
    arms: dict[Place, Arm]
    noise_floor: float
    noise_dof: int

    @property
    def described(self) -> Metric:
        """Name, unit and direction of the metric."""
        return METRICS[self.metric]

    def values_of(self, part: str) -> list[tuple]:
        """The values of `split`, `row` or `column` that occur, in the order of the sweep's axes."""
        fields = {"split": self.spec.split, "row": self.spec.rows, "column": self.spec.columns}[part]
        occurring = dict.fromkeys(getattr(place, part) for place in self.arms)
        return list(in_axis_order(occurring, fields, self.manifest["axes"]))


def assemble(
    workdir: Any,
    metric: str | None = None,
    spec: Table | None = None,
    where: Mapping[str, Iterable[str]] | None = None,
) -> Report:
    """The report of a workdir.

    Args:
      metric: replaces the sweep's own in what is shown, not in what chooses a nuisance.
      spec: replaces the sweep's own table.
      where: field -> the values to keep, as `labels.say` writes them.

    Raises: UserError for a folder that is no sweep's, an unknown metric, or a metric that no cell has.
    """
    manifest, frame = records.sweep(workdir), records.load(workdir)
    spec = spec or table_of(manifest)
    for name, values in (where or {}).items():
        frame = frame[[say(value) in values for (value,) in columns_of(frame, (name,))]]
    metric = metric or spec.metric
    _check_metric(metric, frame, workdir)
    judged_by = spec.metric.replace("test_", "val_")  # the test set chooses nothing
    groups = group_trials(frame, spec, manifest["axes"], metric, judged_by)
    arms = {place: make_arm(place, trials, spec) for place, trials in groups.items()}
    arms = compare(arms, spec, METRICS[metric].lower_is_better)
    floor, dof = statistics.noise_floor(list(arm.values.values()) for arm in arms.values() if arm.is_baseline)
    return Report(str(workdir), manifest, frame, spec, metric, judged_by, arms, floor, dof)


def _check_metric(metric: str, frame: pd.DataFrame, workdir: Any) -> None:
    if metric not in METRICS:
        raise UserError(f"metric {metric!r}: expected one of {', '.join(METRICS)}{nearest(metric, METRICS)}")
    if frame[metric].isna().all() and (frame.status == "done").any():
        having = [name for name in METRICS if frame[name].notna().any()]
        raise UserError(f"metric {metric!r}: no cell of {workdir} has it; expected one of {', '.join(having)}")


def table_of(manifest: Mapping) -> Table:
    """The checked table of a sweep.json. Raises: UserError with every problem."""
    if not manifest.get("table"):
        raise UserError("sweep.json: expected a table (experiments.table_spec.Table); this sweep declares none")
    spec = Table.from_json(manifest["table"])
    if found := problems(spec, manifest["axes"]):
        raise UserError(found)
    return spec


def columns_of(frame: pd.DataFrame, fields: Iterable[str]) -> list[tuple]:
    """Per cell, the values of the fields as plain Python values; what a cell does not have is None."""
    columns = [frame[name].astype(object) if name in frame else [None] * len(frame) for name in fields]
    plain = [[None if isinstance(value, float) and math.isnan(value) else value for value in col] for col in columns]
    return list(zip(*plain, strict=True)) if plain else [()] * len(frame)


def group_trials(frame: pd.DataFrame, spec: Table, axes: Mapping, metric: str, judged_by: str) -> dict:
    """{place: {nuisance: {seed: Trial}}}, places in the order of the axes."""
    parts = [columns_of(frame, fields) for fields in (spec.split, spec.rows, spec.columns, spec.nuisance, spec.seeds)]
    groups: dict[Place, dict] = {}
    trials = map(Trial, frame.index, frame.status, frame[metric], frame[judged_by])
    for split, row, column, nuisance, seed, trial in zip(*parts, trials, strict=True):
        seeds = groups.setdefault(Place(split, row, column), {}).setdefault(nuisance, {})
        if seed in seeds:
            raise UserError(f"table: cells {seeds[seed].cell} and {trial.cell} share one place; give every axis a role")
        seeds[seed] = trial
    fields = (*spec.split, *spec.rows, *spec.columns)
    places = in_axis_order({tuple(itertools.chain(*place)): place for place in groups}, fields, axes)
    return {place: groups[place] for place in places.values()}


def in_axis_order(by_values: Mapping[tuple, Any], fields: Iterable[str], axes: Mapping[str, list]) -> dict[tuple, Any]:
    """The mapping with its keys (one value per field) in the order in which the sweep lists its values."""
    orders = [{key(value): i for i, value in enumerate(axes.get(name, ()))} for name in fields]
    ranks = {
        values: [order.get(v, len(order)) for order, v in zip(orders, values, strict=True)] for values in by_values
    }
    return {values: by_values[values] for values in sorted(by_values, key=ranks.__getitem__)}


def make_arm(place: Place, by_nuisance: Mapping[tuple, Mapping[tuple, Trial]], spec: Table) -> Arm:
    """The arm at its best nuisance value."""
    judged = {value: list(trained(trials, "judged").values()) for value, trials in by_nuisance.items()}
    bad = {value: sum(t.status in BAD for t in trials.values()) for value, trials in by_nuisance.items()}
    choice = statistics.best_nuisance(judged, bad, spec.lower_is_better)
    is_baseline = spec.baseline is not None and baseline_of(place, spec) == place
    return Arm(place, choice, dict(by_nuisance[choice.value]), is_baseline)


def trained(trials: Mapping[tuple, Trial], number: str) -> dict[tuple, float]:
    """A number of the trials that are `done` and have it, by seed."""
    numbers = {seed: getattr(trial, number) for seed, trial in trials.items() if trial.status == "done"}
    return {seed: float(value) for seed, value in numbers.items() if not math.isnan(value)}


def baseline_of(place: Place, spec: Table) -> Place:
    """The place that an arm is compared with."""
    fixed = {name: key(value) for name, value in (spec.baseline or {}).items()}
    return place._replace(row=tuple(fixed.get(name, v) for name, v in zip(spec.rows, place.row, strict=True)))


def compare(arms: dict[Place, Arm], spec: Table, lower_is_better: bool | None) -> dict[Place, Arm]:
    """The arms with their comparisons.

    Arms with a bad seed are not compared, nor compared with: survivors are no sample.
    """
    if spec.baseline is None or lower_is_better is None:
        return arms
    differences = {}
    for place, arm in arms.items():
        other = arms.get(baseline_of(place, spec))
        if other is None or arm.is_baseline or arm.bad or other.bad:
            continue
        shared = [seed for seed in arm.values if seed in other.values]
        difference = statistics.paired([arm.values[s] for s in shared], [other.values[s] for s in shared])
        if difference.n > 1:
            differences[place] = difference
    adjusted = dict(zip(differences, statistics.holm([d.p for d in differences.values()]), strict=True))
    made = {
        p: Comparison(d, adjusted[p], verdict(d.mean, adjusted[p], lower_is_better)) for p, d in differences.items()
    }
    return {place: dataclasses.replace(arm, comparison=made.get(place)) for place, arm in arms.items()}


def verdict(difference: float, p_holm: float, lower_is_better: bool) -> str:
    """better, worse, or not separated at 5 % after Holm."""
    if p_holm >= SIGNIFICANCE:
        return "not separated"
    return "better" if (difference < 0) == lower_is_better else "worse"
