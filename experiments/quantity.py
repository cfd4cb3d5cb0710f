"""A number per seed of one arm of a sweep: which cells, at which learning rate, of which metric, reduced how."""

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from experiments.fits import FITS
from experiments.labels import pairs, say, short_names
from experiments.metrics import METRICS
from experiments.metrics.probes import END
from experiments.plain import Plain
from experiments.records import ABSENT
from experiments.results import Results
from experiments.statistics import Choice, Estimate, best_nuisance, estimate
from flax_tx.errors import UserError

BAD = ("failed", "diverged", "stuck", "no number")  # of a seed, the worst first
OF_ANY_END = ("bounded_loss", "params", "flops_per_step")  # numbers that a run has however it ended


@dataclass(frozen=True)
class Quantity(Plain):
    """A metric of the cells with the values `at`, a number per seed.

    Attributes:
      metric: a name of METRICS.
      at: field -> value. All else but seeds, `over` and the table's nuisance fields must be one value there.
      over, fit: the cells of a seed along the field `over` are reduced by FITS[fit].
      best: a nuisance field that `at` leaves free (the learning rate) takes the arm's best value, at each value of
        `over` its own, judged over all seeds by the table's metric, fewest bad seeds first. False: it must be fixed.
      between: the values of `over` that take part; empty: all.
      tuned_at: the nuisance is instead chosen once, at these values in place of those of `at`.
      stuck_counts: the number of a stuck seed is one like any other. A diverged or failed seed never has a number
        (but for what was measured before training).
    """

    metric: str
    at: Mapping[str, Any] = field(default_factory=dict)
    over: str = ""
    fit: str = ""
    best: bool = True
    between: tuple = ()
    tuned_at: Mapping[str, Any] = field(default_factory=dict)
    stuck_counts: bool = False

    @property
    def words(self) -> str:
        """What it is a number of, without where: the metric, or the fit of it."""
        over = short_names([self.over])[self.over] + (f" in {say(self.between)}" if self.between else "")
        return FITS[self.fit].words.format(metric=self.metric, over=over) if self.fit in FITS else self.metric

    def __str__(self) -> str:
        tuned = f", tuned at {pairs(self.tuned_at)}" if self.tuned_at else ""
        stuck = ", stuck seeds count" if self.stuck_counts else ""
        return self.words + (f" at {pairs(self.at)}" if self.at else "") + tuned + stuck


class Cell(NamedTuple):
    """One cell as a quantity sees it; `status` is "done" exactly when `value` is a number that counts."""

    name: str
    status: str
    value: float
    judged: float


@dataclass(frozen=True)
class Arm:
    """One value of `over`: the choice among the values of the fields `tuned`, and its cells by seed."""

    tuned: tuple[str, ...]
    choice: Choice
    cells: dict[tuple, Cell]


@dataclass(frozen=True)
class Sample:
    """A quantity, measured.

    `values` holds the seeds that have a number, `statuses` every planned seed; `absent` says why the sweep, in this
    size, cannot have it.
    """

    values: dict[tuple, float]
    statuses: dict[tuple, str]
    arms: dict[Any, Arm]
    absent: str = ""

    @property
    def estimate(self) -> Estimate:
        """Mean and 95 % t interval over the seeds that have a number."""
        return estimate(self.values.values())

    @property
    def trouble(self) -> str:
        """`2/5 stuck`: the seeds that ran and have no number; empty when there is none."""
        counts, planned = Counter(self.statuses.values()), len(self.statuses)
        return ", ".join(f"{counts[status]}/{planned} {status}" for status in BAD if counts[status])

    @property
    def missing(self) -> int:
        """Planned seeds without a result."""
        return sum(status in ABSENT for status in self.statuses.values())

    @property
    def cells(self) -> list[str]:
        """The ids of the cells that were used."""
        return [cell.name for arm in self.arms.values() for cell in arm.cells.values()]


def sample(quantity: Quantity, results: Results) -> Sample:
    """The quantity of a sweep. Raises: UserError where a field varies and is neither fixed, tuned nor a seed."""
    arms = arms_of(quantity, results)
    absent = _absent(quantity, arms)
    if absent:
        return Sample({}, {}, arms, absent)
    seeds = list(dict.fromkeys(seed for arm in arms.values() for seed in arm.cells))
    reduced = {seed: _reduce(quantity, [(x, arm.cells.get(seed)) for x, arm in arms.items()]) for seed in seeds}
    values = {seed: value for seed, (value, status) in reduced.items() if status == "done"}
    return Sample(values, {seed: status for seed, (_, status) in reduced.items()}, arms)


def ran(one: Sample) -> Sample:
    """The sample with no trouble: for what asks how seeds end, and not for their numbers."""
    statuses = {seed: status if status in ABSENT else "done" for seed, status in one.statuses.items()}
    return Sample(one.values, statuses, one.arms, one.absent)


def arms_of(quantity: Quantity, results: Results) -> dict[Any, Arm]:
    """The arm at each value of `over`, in order; under None where there is no `over`."""
    groups = _groups(quantity, quantity.at, results)
    choices = {x: _choose(trials, results) for x, trials in groups.items()}
    if quantity.tuned_at:
        tuning = list(_groups(quantity, {**quantity.at, **quantity.tuned_at}, results).values())
        choices = dict.fromkeys(groups, _choose(tuning[0], results)) if tuning else {}
    free = free_fields(quantity, quantity.at, results.role("nuisance"))
    return {x: Arm(free, choice, groups[x].get(choice.value, {})) for x, choice in choices.items()}


def select(rows: Mapping[str, Mapping], at: Mapping[str, Any]) -> dict[str, Mapping]:
    """The rows that have these values."""
    return {name: row for name, row in rows.items() if all(row.get(k) == value for k, value in at.items())}


def varying(rows: Iterable[Mapping], fields: Iterable[str]) -> str:
    """The first of the fields that has two values in the rows, with them; empty when none has."""
    rows = list(rows)
    for name in fields:
        values = dict.fromkeys(row.get(name) for row in rows)
        if len(values) > 1:
            return f"{name} varies ({', '.join(map(say, values))})"
    return ""


def free_fields(quantity: Quantity, at: Mapping, nuisance: Iterable[str]) -> tuple[str, ...]:
    """The nuisance fields whose best value is taken."""
    return tuple(name for name in nuisance if quantity.best and name not in at and name != quantity.over)


def split_by(rows: Mapping[str, Mapping], over: str, between: tuple = ()) -> dict[Any, dict[str, Mapping]]:
    """The rows by their value of the field `over`, ascending where it is a number; all under None without one."""
    groups: dict[Any, dict] = {}
    for name, row in rows.items():
        groups.setdefault(row.get(over) if over else None, {})[name] = row
    groups = {x: group for x, group in groups.items() if not between or x in between}
    return dict(sorted(groups.items())) if all(map(is_number, groups)) else groups


def is_number(value: Any) -> bool:
    """Whether a value of a field is a number (yes and no are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _groups(quantity: Quantity, at: Mapping, results: Results) -> dict[Any, dict[tuple, dict[tuple, Cell]]]:
    """{value of over: {nuisance: {seed: cell}}}."""
    free, seeds = free_fields(quantity, at, results.role("nuisance")), results.role("seeds")
    fixed = [name for name in results.axes if name not in {*free, *seeds, quantity.over}]
    groups: dict[Any, dict] = {}
    for x, rows in split_by(select(results.rows, at), quantity.over, quantity.between).items():
        if doubt := varying(rows.values(), fixed):
            raise UserError(f"{quantity}: {doubt}; fix it in at")
        for name, row in rows.items():
            nuisance, seed = (tuple(row.get(f) for f in fields) for fields in (free, seeds))
            cells = groups.setdefault(x, {}).setdefault(nuisance, {})
            if seed in cells:
                raise UserError(f"{quantity}: cells {cells[seed].name} and {name} share a seed; fix what differs in at")
            cells[seed] = _cell(quantity, name, row["status"], results)
    return groups


def _cell(quantity: Quantity, name: str, status: str, results: Results) -> Cell:
    value = results.number(quantity.metric, name)
    if status in _counting(quantity.metric, quantity.stuck_counts):
        status = "done" if math.isfinite(value) else "no number"
    return Cell(name, status, value if status == "done" else math.nan, results.number(results.judged_by, name))


@functools.cache
def _counting(metric: str, stuck_counts: bool) -> tuple[str, ...]:
    """The statuses of cells whose number counts."""
    before_training = METRICS[metric].source == "probes" and metric not in END
    any_end = before_training or metric in OF_ANY_END
    return ("done", *("stuck",) * (stuck_counts or any_end), *("diverged",) * any_end)


def _choose(trials: Mapping[tuple, Mapping[tuple, Cell]], results: Results) -> Choice:
    statuses = {
        value: [results.rows[cell.name]["status"] for cell in cells.values()] for value, cells in trials.items()
    }
    judged = {
        value: [c.judged for c in cells.values() if results.rows[c.name]["status"] == "done" and c.judged == c.judged]
        for value, cells in trials.items()
    }
    bad = {value: sum(status in BAD for status in found) for value, found in statuses.items()}
    return best_nuisance(judged, bad, results.manifest["table"].get("lower_is_better", True))


def _absent(quantity: Quantity, arms: Mapping[Any, Arm]) -> str:
    if not arms:
        return f"not in this size: {pairs(quantity.at) or 'any cell'}"
    gone = [x for x in quantity.between if x not in arms]
    if gone:
        return f"not in this size: {', '.join(pairs({quantity.over: x}) for x in gone)} at {pairs(quantity.at)}"
    if quantity.over and len(arms) < 2:
        return f"not in this size: another value of {quantity.over} than {say(next(iter(arms)))}"
    return ""


def _reduce(quantity: Quantity, cells: list[tuple[Any, Cell | None]]) -> tuple[float, str]:
    """(value, status) of one seed."""
    fit = FITS.get(quantity.fit)
    statuses = ["missing" if cell is None else cell.status for _, cell in cells]
    known = ("done", "stuck", "diverged") if fit and fit.bad else ("done",)
    worst = next((status for status in (*BAD, *ABSENT) if status in statuses and status not in known), "done")
    if worst != "done":
        return math.nan, worst
    y = np.array([cell.value for _, cell in cells])
    x = np.array([value if is_number(value) else i for i, (value, _) in enumerate(cells)], np.float64)
    with np.errstate(all="ignore"):
        value = float(fit.compute(x, y) if fit else y[0])
    return (value, "done") if math.isfinite(value) else (math.nan, "no number")
