"""What to doubt before believing a table: each check gives at most a line."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

from experiments.labels import short_names
from experiments.records import DAMAGED, MISSING
from experiments.tables.arms import Arm, Report
from experiments.tables.comparisons import baseline_of
from experiments.tables.trials import columns_of

USEFUL_SEEDS = 5
NAMED = 4  # damaged cells that are named
ABSENT = {
    MISSING: "best values and verdicts may still change",
    DAMAGED: "they count as missing; experiments.check says what is wrong",
}
SAME_SIZE = 0.02  # arms whose parameters differ by less count as equally large


def lint(report: Report) -> list[str]:
    """Every doubt about the report."""
    return [line for check in CHECKS.values() for line in check(report)]


def _edges(report: Report) -> Iterator[str]:
    names = short_names(report.spec.nuisance)
    for i, name in enumerate(report.spec.nuisance):
        edges = sum(arm.choice.edge[i] for arm in report.judged)
        if edges:
            yield f"best {names[name]} at the edge of its grid in {edges} of {len(report.judged)} arms: widen the grid"


def _untuned(report: Report) -> Iterator[str]:
    untuned = sum(not arm.choice.tuned for arm in report.judged)
    fields = [name for name in report.spec.nuisance if name not in report.spec.only]
    if fields and untuned:
        names = ", ".join(short_names(fields).values())
        yield f"{names} has one value in {untuned} of {len(report.judged)} arms: it was not tuned"


def _seeds(report: Report) -> Iterator[str]:
    spec = report.spec
    fields = (*spec.split, *spec.rows, *spec.columns, *spec.along, *spec.nuisance)
    seeds = sorted(Counter(columns_of(report.frame, fields)).values())
    if seeds[0] != seeds[-1]:
        yield f"unequal seeds: {seeds[0]} to {seeds[-1]} per value of an arm"
    if seeds[0] < USEFUL_SEEDS:
        yield f"{seeds[0]} seed{'s' * (seeds[0] > 1)} per arm: a smoke test; {USEFUL_SEEDS} are the useful minimum"


def _missing(report: Report) -> Iterator[str]:
    for status, mend in ABSENT.items():
        cells = report.frame.index[report.frame.status == status]
        if len(cells):
            named = "" if status == MISSING else f" ({', '.join(cells[:NAMED])}{', ...' * (len(cells) > NAMED)})"
            yield f"{len(cells)} of {len(report.frame)} cells are {status}{named}: {mend}"


def _together(report: Report) -> Iterator[str]:
    axes = [name for name, values in report.manifest["axes"].items() if len(values) > 1]
    for one, two in itertools.combinations([name for name in axes if name not in report.spec.seeds], 2):
        values = columns_of(report.frame, (one, two))
        if 1 < len(set(values)) == len({a for a, _ in values}) == len({b for _, b in values}):
            yield f"{one} and {two} change together: their effects cannot be told apart"


def _sizes(report: Report) -> Iterator[str]:
    others = [(arm, report.arms.get(baseline_of(arm.place, report.spec))) for arm in report.judged]
    pairs = [(_params(arm, report), _params(other, report)) for arm, other in others if other and other is not arm]
    apart = [100 * (mine / base - 1) for mine, base in pairs if abs(mine / base - 1) > SAME_SIZE]
    if report.spec.baseline and apart:
        low, high = min(apart), max(apart)
        span = f"{low:+.0f} %" if round(low) == round(high) else f"{low:+.0f} to {high:+.0f} %"
        yield f"parameters differ from the baseline's by over 2 % in {len(apart)} of {len(pairs)} arms: {span}"


def _params(arm: Arm, report: Report) -> float:
    return float(report.frame.params[[cell for trial in arm.trials.values() for cell in trial.cells]].mean())


def _sources(report: Report) -> Iterator[str]:
    for field in ("device", "commit", "jax"):
        if field in report.frame and report.frame[field].nunique() > 1:
            found = sorted(report.frame[field].dropna().unique())
            yield f"cells differ in {field}: {', '.join(str(value)[:12] for value in found)}"
    if (report.manifest["provenance"].get("git") or {}).get("dirty"):
        yield "the working tree had uncommitted changes"


CHECKS: dict[str, Callable[[Report], Iterator[str]]] = {
    "edges of grids": _edges,
    "tuning": _untuned,
    "number of seeds": _seeds,
    "missing cells": _missing,
    "axes that move together": _together,
    "parameter counts": _sizes,
    "sources": _sources,
}
