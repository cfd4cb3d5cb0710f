"""Arms against the baseline of their column: paired by seed, Holm over the whole table."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments import statistics
from experiments.labels import key
from experiments.table_spec import Table
from experiments.tables.trials import Place

if TYPE_CHECKING:
    from experiments.tables.arms import Arm

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """The arm minus its baseline, paired by seed; `verdict` is better, worse or not separated at 5 % after Holm."""

    difference: statistics.Difference
    p_holm: float
    verdict: str


def baseline_of(place: Place, spec: Table) -> Place:
    """The place that an arm is compared with."""
    fixed = {name: key(value) for name, value in (spec.baseline or {}).items()}
    return place._replace(row=tuple(fixed.get(name, v) for name, v in zip(spec.rows, place.row, strict=True)))


def compare(arms: Mapping[Place, "Arm"], spec: Table) -> dict[Place, "Arm"]:
    """The arms with their comparisons, where the metric has a direction.

    Arms with a bad seed are not compared, nor compared with: survivors are no sample.
    """
    differences = {}
    for place, arm in arms.items() if spec.baseline is not None else ():
        other = arms.get(baseline_of(place, spec))
        if other is None or arm.is_baseline or arm.bad or other.bad or arm.described.lower_is_better is None:
            continue
        shared = [seed for seed in arm.values if seed in other.values]
        difference = statistics.paired([arm.values[s] for s in shared], [other.values[s] for s in shared])
        if difference.n > 1:
            differences[place] = difference
    adjusted = dict(zip(differences, statistics.holm([d.p for d in differences.values()]), strict=True))
    made = {
        place: Comparison(d, adjusted[place], verdict(d.mean, adjusted[place], arms[place].described.lower_is_better))
        for place, d in differences.items()
    }
    return {place: dataclasses.replace(arm, comparison=made.get(place)) for place, arm in arms.items()}


def verdict(difference: float, p_holm: float, lower_is_better: bool) -> str:
    """better, worse, or not separated at 5 % after Holm."""
    if p_holm >= SIGNIFICANCE:
        return "not separated"
    return "better" if (difference < 0) == lower_is_better else "worse"
