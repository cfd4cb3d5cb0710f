"""What to doubt before believing a verdict: each check of the samples gives at most a line per arm."""

from collections.abc import Iterator, Sequence

from experiments.labels import count, pairs, say
from experiments.quantity import Sample
from experiments.results import Results

USEFUL_SEEDS = 5
ALIKE = 0.01  # parameter counts that differ by less, as by a final norm, are called equal


def doubts(samples: Sequence[Sample], results: Results) -> list[str]:
    """Every doubt about the samples that one condition compares, each once."""
    lines = [line for check in (_edges, _seeds, _missing, _sizes, _sources) for line in check(samples, results)]
    return list(dict.fromkeys(lines))


def chosen(samples: Sequence[Sample]) -> list[str]:
    """The tuned values that each sample was taken at: `num_layers=12: learning_rate=3e-3`."""
    lines = []
    for one in samples:
        at = [
            (f"{say(x)}: " if x is not None else "") + pairs(dict(zip(arm.tuned, arm.choice.value, strict=True)))
            for x, arm in one.arms.items()
            if arm.choice.tuned
        ]
        lines += ["; ".join(at)] * bool(at)
    return lines


def _edges(samples: Sequence[Sample], results: Results) -> Iterator[str]:
    for arm in (arm for one in samples for arm in one.arms.values()):
        for name, value, edge in zip(arm.tuned, arm.choice.value, arm.choice.edge, strict=True):
            if edge:
                yield f"best {pairs({name: value})} is at the edge of its grid"


def _seeds(samples: Sequence[Sample], results: Results) -> Iterator[str]:
    if any(set(one.statuses) != set(samples[0].statuses) for one in samples):
        yield f"unequal seeds: {' and '.join(str(len(one.statuses)) for one in samples)}; only shared ones are paired"
    fewest = min((len(one.statuses) for one in samples), default=0)
    if fewest < USEFUL_SEEDS:
        yield f"{fewest} seed{'s' * (fewest != 1)}; {USEFUL_SEEDS} are the useful minimum"


def _missing(samples: Sequence[Sample], results: Results) -> Iterator[str]:
    missing, planned = sum(one.missing for one in samples), sum(len(one.statuses) for one in samples)
    if missing:
        yield f"{missing} of {planned} seeds are missing: the verdict may still change"


def _sizes(samples: Sequence[Sample], results: Results) -> Iterator[str]:
    means = [results.frame.params[one.cells].mean() for one in samples]
    if means and max(means) > (1 + ALIKE) * min(means):
        yield f"arms differ in parameters: {' and '.join(map(count, means))} in the mean"


def _sources(samples: Sequence[Sample], results: Results) -> Iterator[str]:
    return sources([cell for one in samples for cell in one.cells], results)


def sources(cells: Sequence[str], results: Results) -> Iterator[str]:
    """Lines for cells that were not made by the same commit on the same kind of device."""
    for name in ("commit", "device"):
        if name in results.frame and results.frame[name][cells].nunique() > 1:
            values = sorted(results.frame[name][cells].dropna().unique())
            yield f"cells differ in {name}: {', '.join(str(value)[:12] for value in values)}"
