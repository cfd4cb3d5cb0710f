"""From records to what a panel draws: the lines of its arms, or the squares of a heat map."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import records, statistics
from experiments.figure_spec import INDEX, Figure, Panel
from experiments.labels import key, say
from experiments.metrics import METRICS
from experiments.table_spec import Table
from experiments.tables.arms import BAD, Arm, Report, assemble, table_of
from experiments.tables.trials import columns_of
from flax_tx.errors import UserError, nearest

OF_THE_END = ("angle", "layer_loss", "head_loss")  # probes of a trained model; the others are made before training
Numbers = Callable[[Arm], tuple[list[np.ndarray], str]]


@dataclass(frozen=True)
class Line:
    """One line of a panel: its row values and, over x [T], mean and 95 % t band; NaN where a seed did not train.

    `trouble` says of which x (None: of the whole line) how many seeds were bad: `2/3 stuck`.
    """

    row: tuple
    x: list
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    trouble: dict[Any, str]


@dataclass(frozen=True)
class Heat:
    """A heat map: mean [Y, X] over seeds, NaN where not every seed has a number, and how many seeds have none.

    `best` are the squares to mark.
    """

    x: list
    y: list
    mean: np.ndarray
    trouble: dict[tuple[int, int], str]
    best: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Drawn:
    """A panel with what it shows."""

    panel: Panel
    report: Report
    content: list[Line] | Heat


def arrange(spec: Table, axes: Mapping[str, list], figure: Figure, panel: Panel) -> Table:
    """The sweep's table with the panel's lines as rows and its x as column; whatever else varies must be fixed."""
    heat = panel.kind == "heat"
    rows = (panel.y_field,) if heat else tuple(f for f in figure.lines or spec.rows if f not in panel.fields)
    chosen = {*rows, *panel.fields}
    left = {role: tuple(f for f in getattr(spec, role) if f not in chosen) for role in ("nuisance", "seeds")}
    named = {*chosen, *left["nuisance"], *left["seeds"]}
    rest = tuple(f for f in dict.fromkeys((*spec.rows, *spec.columns, *spec.split, *axes)) if f not in named)
    return Table(rows, panel.fields[:1], spec.metric, spec.lower_is_better, split=rest, title=spec.title, **left)


def read(workdir: str | os.PathLike, figure: Figure) -> list[Drawn]:
    """Every panel of a figure that the sweep, in its size, has cells for.

    Raises: UserError where no panel has a cell, or one would mix what it does not show.
    """
    manifest, frame = records.sweep(workdir), records.load(workdir)
    spec, axes = table_of(manifest), manifest["axes"]
    found = [
        _panel(workdir, f"figure.panels[{i}]", arrange(spec, axes, figure, panel), panel)
        for i, panel in enumerate(figure.panels)
        if any(values == tuple(map(key, panel.at.values())) for values in columns_of(frame, panel.at))
    ]
    if not found:
        raise UserError(f"figure: no cell of {workdir} is in any of its panels")
    return found


def _panel(workdir: str | os.PathLike, where: str, spec: Table, panel: Panel) -> Drawn:
    fixed = {name: (key(value),) for name, value in panel.at.items()}
    known = panel.y in METRICS
    report = assemble(workdir, panel.y if known else "params", spec=spec, where=fixed)  # any cell has parameters
    _unmixed(where, report)
    if panel.kind == "heat":
        return Drawn(panel, report, _heat(report))
    numbers = _metric_numbers if known else _probe_numbers(where, report, panel.y)
    along = _along_index if panel.x == INDEX else _along
    return Drawn(panel, report, along(where, report, numbers))


def _unmixed(where: str, report: Report) -> None:
    places = [(place.row, place.column) for place in report.arms]
    if len(places) == len(set(places)):
        return
    for i, name in enumerate(report.spec.split):
        values = list(dict.fromkeys(say(split[i]) for split in report.values_of("split")))
        if len(values) > 1:
            raise UserError(f"{where}: {name} varies ({', '.join(values)}); expected it in at, in lines, or as x")


def trouble(statuses: Sequence[str], bad: Sequence[str] = BAD) -> str:
    """`2/3 stuck`: the seeds of an arm that went bad; nothing when all are good."""
    counts = Counter(statuses)
    return ", ".join(f"{counts[status]}/{len(statuses)} {status}" for status in bad if counts[status])


def _metric_numbers(arm: Arm) -> tuple[list[np.ndarray], str]:
    """A number per seed of an arm, and what went bad."""
    numbers = [np.array([value]) for value in arm.values.values()]
    return numbers, trouble([trial.status for trial in arm.trials.values()])


def _probe_numbers(where: str, report: Report, name: str) -> Numbers:
    """The same of the entries of a quantity; what was measured before training counts however the training ended."""
    cells = [trial.cell for arm in report.arms.values() for trial in arm.trials.values()]
    frame = records.load_probes(report.workdir, cells)
    mine = frame[frame["quantity"] == name].sort_values(["cell", "index", "head"])
    if mine.empty and (report.frame.status == "done").any():
        known = [*METRICS, *frame["quantity"].unique()]
        raise UserError(f"{where}.y = {name!r}: no metric, and no probe of these cells has it{nearest(name, known)}")
    by_cell = {cell: group["value"].to_numpy(np.float64) for cell, group in mine.groupby("cell", sort=False)}
    bad = BAD if name in OF_THE_END else ("failed",)

    def numbers(arm: Arm) -> tuple[list[np.ndarray], str]:
        trials = arm.trials.values()
        found = [by_cell[trial.cell] for trial in trials if trial.cell in by_cell]
        return found, trouble([report.frame.at[trial.cell, "status"] for trial in trials], bad)

    return numbers


def band(estimates: Iterable[statistics.Estimate]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and ends of the t interval, [T] each; the mean itself where one seed has no interval."""
    rows = [(e.mean, *((e.mean, e.mean) if math.isnan(e.low) else (e.low, e.high))) for e in estimates]
    mean, low, high = np.array(rows, np.float64).reshape(-1, 3).T
    return mean, low, high


def _along(where: str, report: Report, numbers: Numbers) -> list[Line]:
    """Lines over a field: per row, every value that was planned, in the order of the axis."""
    lines = []
    for row in report.values_of("row"):
        found = {place.column[0]: numbers(arm) for place, arm in report.arms.items() if place.row == row}
        if any(len(seed) > 1 for seeds, _ in found.values() for seed in seeds):
            raise UserError(f'{where}.y: it has an entry per layer; expected x="{INDEX}", or a metric made of it')
        points = [statistics.estimate([] if bad else np.concatenate(seeds or [[]])) for seeds, bad in found.values()]
        lines.append(Line(row, list(found), *band(points), {x: bad for x, (_, bad) in found.items() if bad}))
    return lines


def _along_index(where: str, report: Report, numbers: Numbers) -> list[Line]:
    """Lines over the layers or sublayers of a quantity: one per row; nothing of a row with a bad seed."""
    lines = []
    for place, arm in report.arms.items():
        seeds, bad = numbers(arm)
        entries = [] if bad else list(zip(*seeds, strict=True))  # the seeds of an arm have one depth
        points = map(statistics.estimate, entries)
        lines.append(Line(place.row, list(range(len(entries))), *band(points), {None: bad} if bad else {}))
    return lines


def _heat(report: Report) -> Heat:
    """The squares of a heat map, in the order of the axes."""
    arms = {(place.row[0], place.column[0]): arm for place, arm in report.arms.items()}
    return heat([x for (x,) in report.values_of("column")], [y for (y,) in report.values_of("row")], arms)


def heat(xs: list, ys: list, arms: Mapping[tuple, Arm]) -> Heat:
    """The squares of arms by (y, x): a mean only of arms of which every seed has a number."""
    mean, bad = np.full((len(ys), len(xs)), np.nan), {}
    for (y, x), arm in arms.items():
        at = ys.index(y), xs.index(x)
        if said := trouble([trial.status for trial in arm.trials.values()], (*BAD, records.MISSING)):
            bad[at] = said
        else:
            mean[at] = arm.estimate.mean
    return Heat(xs, ys, mean, bad)


def seeds_of(drawn: Sequence[Drawn]) -> list[int]:
    """The different numbers of seeds that arms of the panels were planned with."""
    return sorted({arm.planned for one in drawn for arm in one.report.arms.values()})
