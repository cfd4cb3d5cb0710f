"""What to doubt before believing a table: each check gives at most a line."""

import itertools
from collections import Counter
from collections.abc import Iterator

from experiments.labels import short_names
from experiments.tables.arms import Report, columns_of

USEFUL_SEEDS = 5


def lint(report: Report) -> list[str]:
    """Every doubt about the report."""
    return [line for check in (_edges, _untuned, _seeds, _missing, _together, _sources) for line in check(report)]


def _edges(report: Report) -> Iterator[str]:
    names = short_names(report.spec.nuisance)
    for i, name in enumerate(report.spec.nuisance):
        edges = sum(arm.choice.edge[i] for arm in report.arms.values())
        if edges:
            yield f"best {names[name]} at the edge of its grid in {edges} of {len(report.arms)} arms: widen the grid"


def _untuned(report: Report) -> Iterator[str]:
    untuned = sum(not arm.choice.tuned for arm in report.arms.values())
    if report.spec.nuisance and untuned:
        names = ", ".join(short_names(report.spec.nuisance).values())
        yield f"{names} has one value in {untuned} of {len(report.arms)} arms: it was not tuned"


def _seeds(report: Report) -> Iterator[str]:
    spec = report.spec
    fields = (*spec.split, *spec.rows, *spec.columns, *spec.nuisance)
    seeds = sorted(Counter(columns_of(report.frame, fields)).values())
    if seeds[0] != seeds[-1]:
        yield f"unequal seeds: {seeds[0]} to {seeds[-1]} per value of an arm"
    if seeds[0] < USEFUL_SEEDS:
        yield f"{seeds[0]} seed{'s' * (seeds[0] > 1)} per arm: a smoke test; {USEFUL_SEEDS} are the useful minimum"


def _missing(report: Report) -> Iterator[str]:
    missing = int((report.frame.status == "missing").sum())
    if missing:
        yield f"{missing} of {len(report.frame)} cells are missing: best values and verdicts may still change"


def _together(report: Report) -> Iterator[str]:
    axes = [name for name, values in report.manifest["axes"].items() if len(values) > 1]
    for one, two in itertools.combinations([name for name in axes if name not in report.spec.seeds], 2):
        values = columns_of(report.frame, (one, two))
        if len(set(values)) == len({a for a, _ in values}) == len({b for _, b in values}):
            yield f"{one} and {two} change together: their effects cannot be told apart"


def _sources(report: Report) -> Iterator[str]:
    for field in ("device", "commit", "jax"):
        if field in report.frame and report.frame[field].nunique() > 1:
            found = sorted(report.frame[field].dropna().unique())
            yield f"cells differ in {field}: {', '.join(str(value)[:12] for value in found)}"
    if (report.manifest["provenance"].get("git") or {}).get("dirty"):
        yield "the working tree had uncommitted changes"
