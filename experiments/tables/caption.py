"""The lines under a table: what is shown, against what, what was held fixed, what to doubt, how to make it again."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from experiments.column import Column
from experiments.labels import count, pairs, say, short_names
from experiments.metrics import METRICS
from experiments.statistics import wilson
from experiments.tables.arms import BAD, Report
from experiments.tables.faces import MARKS, NOT_PLANNED
from experiments.tables.grids import grids
from experiments.tables.lint import CHECKS, lint
from experiments.tables.trials import columns_of

ITEM = {"lm": "token", "classify": "document", "translate": "token"}
HELD = {  # field -> what it is called in "held fixed"
    "train.steps": "steps",
    "train.batch_size": "batch",
    "data.seq_len": "sequence length",
    "model.width": "width",
    "model.num_layers": "layers",
    "model.num_heads": "heads",
    "model.wiring": "wiring",
    "model.norm.kind": "norm",
    "model.norm.eps": "norm eps",
    "model.slots.final": "final norm",
    "model.positions": "positions",
    "model.init": "init",
    "model.dtype": "dtype",
    "optim.name": "optimiser",
    "optim.schedule": "schedule",
    "optim.learning_rate": "learning rate",
    "optim.warmup_steps": "warm-up steps",
    "optim.weight_decay": "weight decay (never of norm scales)",
    "optim.clip_norm": "gradient clip",
}
SIGNS = {  # what a place may say -> whether it does, and what that means
    "*": (lambda face: "*" in face.nuisance, "at the edge of the grid"),
    "all": (lambda face: face.nuisance == "all", "no value trained a seed"),
    "survivors": (lambda face: face.survivors, "the mean of the seeds that trained, which is not the mean of the arm"),
    "missing": (lambda face: "missing" in face.trouble, "cells without a result"),
    NOT_PLANNED: (lambda face: face.trouble == NOT_PLANNED, "not in the sweep"),
    "theory": (lambda face: face.theory, "what is expected"),
}
BAD_WORDS = {
    "stuck": "no better than frequencies alone",
    "diverged": "loss or gradient not finite",
    "failed": "ended by an error",
    "no number": "without this number",
}
COMMANDS = ("Made by", "Again")  # labels whose text is a command to copy
AUTO = dict.fromkeys(("model.slots.final", "model.init"), "as the wiring says")


def caption(report: Report, marks: dict[str, str] = MARKS) -> list[tuple[str, str]]:
    """(label, text) pairs; `marks` are the signs that the format uses for the verdicts."""
    doubts = [("Check", line) for line in lint(report)]
    lines = [
        ("Shown", _shown(report)),
        *(("Column", line) for line in _columns(report)),
        ("Only", _only(report)),
        ("Best", _best(report)),
        ("Signs", _signs(report)),
        ("Baseline", _baseline(report, marks)),
        ("Noise floor", _floor(report)),
        ("Bad seeds", _bad(report)),
        *_published(report),
        ("Data", "; ".join(_data(report))),
        ("Held fixed", ", ".join(_held(report))),
        *(doubts or [("Checks", f"passed: {', '.join(CHECKS)}")]),
        ("Cells", _cells(report)),
        ("Made from", _sources(report)),
        ("Made by", report.manifest["command"]),
        ("Again", _again(report)),
    ]
    return [(label, text) for label, text in lines if text]


Lines = list[tuple[str, str]]


def captions(reports: Sequence[Report], marks: dict[str, str] = MARKS) -> tuple[list[Lines], Lines]:
    """The lines of each report, and those that all of several reports have, which are said once."""
    each = [caption(report, marks) for report in reports]
    shared = [line for line in each[0] if len(each) > 1 and all(line in lines for lines in each)]
    return [[line for line in lines if line not in shared] for lines in each], shared


def unit(manifest: Mapping, metric: str) -> str:
    """The unit of a metric; the task of the data says what a loss is per."""
    items = {ITEM.get(data.get("task"), "token") for data in manifest["data"].values()}
    return METRICS[metric].unit.format(item=" or ".join(sorted(items)) or "token")


def _shown(report: Report) -> str:
    spec = report.spec
    seeds = sorted({arm.estimate.n for arm in report.arms.values() if arm.estimate.n})
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "0"
    over = f" ({', '.join(spec.seeds)})" if spec.seeds else ""
    what = "" if spec.columns_of else f"{_metric(report, Column(report.metric))}; "
    return f"{what}mean ± half-width of the 95 % Student t interval, n = {span} seeds{over}"


def _metric(report: Report, column: Column) -> str:
    """What a column shows, in words: name, unit, direction."""
    shown = column.described
    words = unit(report.manifest, column.metric) if shown.unit else ""
    better = {True: "; lower is better", False: "; higher is better", None: ""}[shown.lower_is_better]
    return f"{column.words} ({column.metric}){f', {words}' * bool(words)}{better}"


def _columns(report: Report) -> Iterable[str]:
    return [f"{column.heading}: {_metric(report, column)}" for column in report.spec.columns_of]


def _only(report: Report) -> str:
    return f"{pairs(report.spec.only)}; other cells of the sweep are left out" if report.spec.only else ""


def _published(report: Report) -> Lines:
    paper = report.paper
    if not paper:
        return []
    return [("Published", "; ".join(filter(None, [paper.title, paper.source, paper.note]))), ("Marks", paper.legend)]


def _best(report: Report) -> str:
    if not report.tuned:
        return ""
    names = short_names(report.spec.nuisance)
    grids = [f"{names[name]} of {_values(report.frame, name)}" for name in report.spec.nuisance]
    what = "row" if report.spec.columns_of else "arm"
    return (
        f"each {what} at its best {' and '.join(grids)}, chosen by the mean of {report.judged_by} among values with "
        "the fewest bad seeds"
    )


def _signs(report: Report) -> str:
    """What needs a word where it stands, of what occurs."""
    faces = [face for grid in grids(report) for row in grid.rows for face in row.faces]
    found = [f"{sign}: {meaning}" for sign, (occurs, meaning) in SIGNS.items() if any(map(occurs, faces))]
    return "; ".join(found)


def _baseline(report: Report, marks: dict[str, str]) -> str:
    if not report.spec.baseline or all(arm.described.lower_is_better is None for arm in report.arms.values()):
        return ""
    fixed = {name: report.spec.label(value) for name, value in report.spec.baseline.items()}
    verdicts = [arm.comparison.verdict for arm in report.arms.values() if arm.comparison]
    words = ", ".join(f"{mark} {word}" for word, mark in marks.items() if word in verdicts)
    how = f"; {words}: paired t over shared seeds, Holm over {len(verdicts)} comparisons, 5 %" if verdicts else ""
    return f"{pairs(fixed)}, same column{how}; not compared where the arm or its baseline has a bad seed"


def _floor(report: Report) -> str:
    if not report.spec.baseline:
        return ""
    if not report.noise()[1]:
        return "unknown: no column of the baseline has two trained seeds"
    if not report.spec.columns_of:
        floor, dof = report.noise()
        number = format(floor, report.described.format)
        return f"{number}, the baseline's seed-to-seed SD, pooled over columns ({dof} degrees of freedom)"
    floors = [(column, *report.noise((column.heading,))) for column in report.spec.columns_of]
    said = [f"{c.heading} {format(floor, c.described.format)} ({dof})" for c, floor, dof in floors if dof]
    return f"the baseline's seed-to-seed SD (degrees of freedom): {', '.join(said)}"


def _bad(report: Report) -> str:
    shares = sorted({(arm.counts[s], arm.planned) for arm in report.arms.values() for s in BAD if arm.counts[s]})
    words = [f"{s}: {BAD_WORDS[s]}" for s in BAD if any(arm.counts[s] for arm in report.arms.values())]
    intervals = [f"{k}/{n} is {_percent(k, n)}" for k, n in shares]
    return f"{'; '.join(words)}; 95 % Wilson intervals: {', '.join(intervals)}" if shares else ""


def _percent(k: int, n: int) -> str:
    low, high = wilson(k, n)
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def _data(report: Report) -> Iterable[str]:
    kinds = {"unigram_loss": "unigram", "bigram_loss": "bigram", "floor_loss": "entropy rate"}
    for name, data in report.manifest["data"].items():
        entropies = [f"{kind} {data[field]:.3f}" for field, kind in kinds.items() if data.get(field) is not None]
        facts = [str(data["task"])] if data.get("task") else []
        facts += [f"fingerprint {data['fingerprint'][:12]}"] if data.get("fingerprint") else []
        yield f"{name.partition('|')[0]} ({', '.join(facts)}): {', '.join(entropies)} nats"


def _held(report: Report) -> Iterable[str]:
    in_table = {name for role, name in report.spec.roles()} | {*report.spec.only, *report.spec.along}
    for name, words in HELD.items():
        if name in report.frame and name not in in_table:
            yield f"{words} {_values(report.frame, name)}"
    size = ["train.steps", "train.batch_size", "data.seq_len"]
    if report.frame.columns.isin(size).sum() == len(size):
        yield f"tokens {_span(report.frame[size].astype(float).prod(axis=1))}"
    if report.frame.params.notna().any():
        yield f"parameters {_span(report.frame.params.dropna())}"


def _values(frame: pd.DataFrame, name: str) -> str:
    values = list(dict.fromkeys(value for (value,) in columns_of(frame, (name,))))
    said = [AUTO.get(name, "auto") if value is None else say(value) for value in values]
    return said[0] if len(said) == 1 else f"{{{', '.join(said)}}}"


def _span(numbers: pd.Series) -> str:
    low, high = count(numbers.min()), count(numbers.max())
    return low if low == high else f"{low} to {high}"


def _cells(report: Report) -> str:
    counts = report.frame.status.value_counts()
    planned, whole = len(report.frame), len(report.manifest["cells"])
    of = f" of the sweep's {whole}" if planned < whole else ""
    return f"{planned} planned{of}: {', '.join(f'{number} {status}' for status, number in counts.items())}"


def _sources(report: Report) -> str:
    made = report.manifest["provenance"]
    versions = [f"{name} {made['versions'][name]}" for name in ("jax", "flax", "optax") if name in made["versions"]]
    devices = sorted({device for (device,) in columns_of(report.frame, ("device",)) if device})
    commit = (made.get("git") or {}).get("commit")
    return ", ".join([f"commit {commit[:12]}" if commit else "no commit", *versions, *devices, made["created"]])


def _again(report: Report) -> str:
    metric = [] if report.metric == report.spec.metric else [f"--metric={report.metric}"]
    return shlex.join(["python", "-m", "experiments.table", f"--workdir={report.workdir}", *metric, *report.flags])
