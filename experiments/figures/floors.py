"""The noise floor of curves: how far the seeds of the baseline end from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from experiments.figures.curves import Curve, cells_of
from experiments.labels import key, pairs, say
from experiments.statistics import Estimate, estimate, noise_floor
from experiments.tables.arms import Report, table_of
from experiments.tables.trials import columns_of
from experiments.view import View


@dataclass(frozen=True)
class Floor:
    """The noise floor of a sweep: pooled SD over seeds of the ends of `of`'s curves, and where they end in a panel."""

    sweep: str
    of: str
    sd: float
    dof: int
    levels: dict[tuple, float]


def final(curve: Curve) -> Estimate:
    """The end of a curve over its seeds; of none where a seed went bad on the way."""
    whole = len(curve.step) and np.isfinite(curve.mean[-1])
    return estimate(curve.seeds[:, -1] if whole else [])


def floors(view: View, curves: Sequence[Curve]) -> list[Floor]:
    """The noise floor of each sweep, as far as it is known; of all arms shown, where its baseline is not among them."""
    found = [_floor(view, curves, sweep, report) for sweep, report in view.reports.items()]
    return [floor for floor in found if floor.dof]


def _floor(view: View, curves: Sequence[Curve], sweep: str, report: Report) -> Floor:
    mine = [curve for curve in curves if sweep in curve.line.sweeps and final(curve).n > 1]
    mine = [curve for curve in mine if not curve.ends]  # the spread of stuck seeds is not that of training
    baseline = table_of(report.manifest).baseline
    chosen = [curve for curve in mine if baseline and _has(curve, baseline, report)]
    words = f"the baseline {pairs(baseline)}" if chosen else "all arms shown"
    groups = {panel: [c for c in chosen or mine if c.arm.place.column == panel] for panel in view.panels}
    levels = {panel: float(np.mean([final(curve).mean for curve in arms])) for panel, arms in groups.items() if arms}
    return Floor(sweep, words, *noise_floor(curve.seeds[:, -1] for curve in chosen or mine), levels)


def _has(curve: Curve, baseline: dict, report: Report) -> bool:
    cells = report.frame.loc[sorted(cells_of(curve.arm))]
    return set(columns_of(cells, baseline)) == {tuple(map(key, baseline.values()))}


def said(found: Sequence[Floor]) -> list[str]:
    """The noise floors in words, a line for those of the same kind of arms."""
    lines = []
    for of, alike in groupby(sorted(found, key=lambda floor: floor.of), key=lambda floor: floor.of):
        each = [
            f"{two_digits(floor.sd)}{f' in {floor.sweep}' * bool(floor.sweep)} "
            f"({floor.dof} degree{'s' * (floor.dof != 1)} of freedom)"
            for floor in alike
        ]
        lines.append(f"noise floor {', '.join(each)}: pooled SD over seeds of where the curves of {of} end")
    return lines


def two_digits(number: float) -> str:
    """0.014, 7.3e-4."""
    short = f"{number:.2g}"
    return short if 1e-3 <= abs(number) < 1e4 else say(float(short))
