"""Everything that a table says, as data, before anything is drawn.

An arm is one place of the table: a row, a column and a sub-table. It is judged at its own best value of the nuisance
fields, over all its seeds, and against the arm of its column that holds the baseline's row values. Where columns are
quantities, the best value is chosen once per row, by the table's own metric.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from experiments import metrics, records, statistics
from experiments.column import Column
from experiments.labels import key, pairs
from experiments.metrics import METRICS, Metric
from experiments.paper import Paper
from experiments.results import Results
from experiments.selection import keep
from experiments.table_spec import Table, problems
from experiments.tables.comparisons import Comparison, baseline_of, compare
from experiments.tables.trials import Place, Trial, columns_of, grouped, place_rank, trials_of
from experiments.typed import as_declared, declared
from flax_tx.errors import UserError, nearest

BAD = ("stuck", "diverged", "failed", "no number")


@dataclass(frozen=True)
class Arm:
    """One place of the table at its best nuisance value."""

    place: Place
    column: Column
    choice: statistics.Choice
    trials: dict[tuple, Trial]  # by seed
    is_baseline: bool = False
    comparison: Comparison | None = None

    @property
    def described(self) -> Metric:
        """Name, unit, direction and format of its number."""
        return self.column.described

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
        """Seeds that were stuck, diverged or failed, or gave no number."""
        return sum(self.counts[status] for status in BAD)

    @property
    def absent(self) -> int:
        """Seeds without a result, or with one that cannot be believed."""
        return sum(self.counts[status] for status in records.ABSENT)

    @property
    def values(self) -> dict[tuple, float]:
        """The number by seed, of the seeds that have one."""
        return {seed: trial.shown for seed, trial in self.trials.items() if trial.status == "done"}

    @property
    def estimate(self) -> statistics.Estimate:
        """Mean and interval over the seeds that have a number."""
        return statistics.estimate(self.values.values())


@dataclass(frozen=True)
class Report:
    """All arms of a sweep under one table, with what captions need; `paper` where published numbers are shown."""

    workdir: str
    manifest: dict
    frame: pd.DataFrame
    spec: Table
    metric: str
    judged_by: str
    arms: dict[Place, Arm]
    paper: Paper | None = None
    flags: tuple[str, ...] = ()  # of the command that makes it again

    @property
    def described(self) -> Metric:
        """Name, unit and direction of the table's metric."""
        return METRICS[self.metric]

    @property
    def judged(self) -> list[Arm]:
        """One arm for every choice of nuisance values."""
        per_row = {place[: 2 if self.spec.columns_of else 3]: arm for place, arm in reversed(self.arms.items())}
        return list(reversed(per_row.values()))

    @property
    def tuned(self) -> bool:
        """Whether any arm had a choice."""
        return any(arm.choice.tuned for arm in self.arms.values())

    def noise(self, column: tuple | None = None) -> tuple[float, int]:
        """(pooled seed-to-seed SD of the baseline, degrees of freedom), of one column or of all."""
        baselines = [arm for arm in self.arms.values() if arm.is_baseline and column in (None, arm.place.column)]
        return statistics.noise_floor(list(arm.values.values()) for arm in baselines)

    def values_of(self, part: str) -> list[tuple]:
        """The values of `split`, `row` or `column` that occur, in the order of the table."""
        if part == "column" and self.spec.columns_of:
            return [(column.heading,) for column in self.spec.columns_of]
        rank, nowhere = place_rank(self.spec, self.manifest["axes"]), Place((), (), ())
        occurring = dict.fromkeys(getattr(place, part) for place in self.arms)
        return sorted(occurring, key=lambda values: rank(nowhere._replace(**{part: values})))


def assemble(
    workdir: Any,
    metric: str | None = None,
    spec: Table | None = None,
    where: Mapping[str, Sequence] | None = None,
    published: bool = False,
    loaded: pd.DataFrame | None = None,
) -> Report:
    """The report of a workdir.

    Args:
      metric: replaces the sweep's own in what is shown, not in what chooses a nuisance.
      spec: replaces the sweep's own table.
      where: field -> the values to keep.
      published: with the paper's numbers.
      loaded: what records.load(workdir) gave, where it was called already.

    Raises: UserError for a folder that is no sweep's, an unknown metric, a metric that no cell has, no cell that is in
    the table, or no published numbers.
    """
    manifest = records.sweep(workdir)
    spec = spec or table_of(manifest)
    shown, judged_by = metric or spec.metric, spec.metric.replace("test_", "val_")  # the test set chooses nothing
    _check(spec, metric, published, manifest["name"])
    frame = _cells(records.load(workdir) if loaded is None else loaded, spec, where or {}, workdir)
    names = [shown, judged_by, *(column.metric for column in spec.columns_of)]
    numbers = dict(metrics.columns(workdir, frame, names).items())
    _check_numbers(shown, spec, frame, numbers[shown], workdir)
    results = Results(str(workdir), {**manifest, "table": spec.to_json()}, frame, numbers)
    arms = {arm.place: arm for arm in _arms(results, spec, shown, judged_by)}
    paper = spec.paper if published else None
    return Report(str(workdir), manifest, frame, spec, shown, judged_by, compare(arms, spec), paper)


def _check(spec: Table, metric: str | None, published: bool, name: str) -> None:
    shown = metric or spec.metric
    if shown not in METRICS:
        raise UserError(f"metric {shown!r}: expected one of {', '.join(METRICS)}{nearest(shown, METRICS)}")
    if metric and spec.columns_of:
        raise UserError(f"metric {metric!r}: table {spec.title!r} shows its own quantities; leave --metric out")
    if published and not spec.paper:
        raise UserError(f"table {spec.title or name!r}: it has no published numbers; leave --paper out")


def _cells(frame: pd.DataFrame, spec: Table, where: Mapping[str, Sequence], workdir: Any) -> pd.DataFrame:
    frame = keep(frame, where)
    frame = frame[[values == tuple(map(key, spec.only.values())) for values in columns_of(frame, spec.only)]]
    if frame.empty and spec.only:
        raise UserError(f"table {spec.title!r}: no cell of {workdir} has {pairs(spec.only)}")
    return frame


def _check_numbers(shown: str, spec: Table, frame: pd.DataFrame, numbers: pd.Series, workdir: Any) -> None:
    if not spec.columns_of and numbers.isna().all() and (frame.status == "done").any():
        having = [name for name in METRICS if name in frame and frame[name].notna().any()]
        raise UserError(f"metric {shown!r}: no cell of {workdir} has it; expected one of {', '.join(having)}")


def _arms(results: Results, spec: Table, shown: str, judged_by: str) -> Iterator[Arm]:
    fields = (*spec.split, *spec.rows, *spec.columns, *spec.nuisance)
    for place, by_nuisance in grouped(results.frame, spec, results.axes).items():
        choice = _choose(by_nuisance, results.frame.status, results.columns[judged_by], spec)
        at = dict(zip(fields, (*place.split, *place.row, *place.column, *choice.value), strict=True))
        for column in spec.columns_of or (Column(shown),):
            here = place._replace(column=(column.heading,)) if spec.columns_of else place
            is_baseline = spec.baseline is not None and baseline_of(here, spec) == here
            if trials := trials_of(column, at, results):
                yield Arm(here, column, choice, trials, is_baseline)


def _choose(
    by_nuisance: Mapping[tuple, list[str]], status: pd.Series, judged: pd.Series, spec: Table
) -> statistics.Choice:
    trained = {value: [cell for cell in cells if status[cell] == "done"] for value, cells in by_nuisance.items()}
    scores = {value: judged[cells].dropna().tolist() for value, cells in trained.items()}
    bad = {value: sum(status[cell] in BAD for cell in cells) for value, cells in by_nuisance.items()}
    return statistics.best_nuisance(scores, bad, spec.lower_is_better)


def tables_of(manifest: Mapping) -> list[Table]:
    """The checked tables of a sweep.json, the main one first. Raises: UserError with every problem."""
    plain = manifest.get("tables") or [manifest.get("table")]
    if not plain[0]:
        raise UserError("sweep.json: expected a table (experiments.table_spec.Table); this sweep declares none")
    with declared("a table"):
        specs = [as_declared(Table.from_json(each), "table") for each in plain]
    if found := [problem for spec in specs for problem in problems(spec, manifest["axes"])]:
        raise UserError(dict.fromkeys(found))
    return specs


def table_of(manifest: Mapping) -> Table:
    """The main table of a sweep.json, checked. Raises: UserError with every problem."""
    return tables_of(manifest)[0]
