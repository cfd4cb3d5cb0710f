"""Why cells would run again, or not: python -m experiments.why --workdir=DIR --config=sweeps/X.py [--size=NAME]
[--config.FIELD=VALUE ...] [CELL]

CELL is an id, the beginning of one, or a selection such as wiring=pre,num_layers=4|12; without it all cells of the plan
are counted by cause. A cell that has a result would not run. Of one that has none, the nearest recorded cell is shown
with the fields that differ, the data's fingerprint then and now, and the version of the schema. What became of commit
and libraries is information: no cell runs again for it. Nothing is written, nothing runs.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from experiments import cell_choice, provenance, reasons, records, sweep_file
from experiments import plan as planning
from experiments.command import Parser, run
from experiments.differences import change
from experiments.labels import pairs
from experiments.reasons import Reason, Workdir
from experiments.records import ARM
from experiments.screen import Screen, shown
from experiments.visible import line
from flax_tx.config import SCHEMA_VERSION
from flax_tx.errors import together

FLAGS = ("--config", "--workdir", "--size")
DETAILED, VALUES = 5, 4  # cells that are shown one by one, and values of a field in a group that are named
STARTED = "planned before, but never ended: not run yet, or interrupted"
NOTHING = "this workdir has no result yet"
NAMED = "the same fields, but named under another version of the schema"
ADDED, CHANGED, STRAY = "new beside the recorded", "changed since recorded", "recorded, but not in this plan"
Lines = Iterator[tuple[str, str]]  # (label, text)


def cause(reason: Reason, workdir: Workdir) -> str:
    """Why a cell would run or is a stray one, without the fields."""
    if reason.cell not in workdir.planned:
        return STRAY
    if reason.started:
        return STARTED
    if reason.nearest is None:
        return NOTHING
    if not reason.changes:
        return NAMED
    return ADDED if reason.nearest in workdir.planned else CHANGED


def summary(found: Sequence[Reason], workdir: Workdir) -> Lines:
    """Cells of the plan counted by cause."""
    have = Counter(reason.status["status"] for reason in found if reason.status)
    counts = [f"{have[status]} {status}" for status in records.STATUSES if have[status]]
    said = f" ({', '.join(counts)})" if have else ""
    yield "cells", f"{len(found)}: {have.total()} have a result{said}, {len(found) - have.total()} would run"
    yield from (("would run", line) for line in grouped([reason for reason in found if not reason.status], workdir))


def strays(workdir: Workdir) -> Lines:
    """The recorded cells that the plan does not have, and how they differ from its nearest."""
    yield from (("stay", line) for line in grouped(workdir.stray(workdir.strays), workdir))


def grouped(found: Sequence[Reason], workdir: Workdir) -> Iterator[str]:
    """A line for all cells of one cause and the same fields: how many, what was and is, and one of them."""
    groups: dict[tuple, list[Reason]] = {}
    for reason in found:
        why = cause(reason, workdir)
        groups.setdefault((why, *(() if why is STARTED else reason.changes)), []).append(reason)
    for (why, *fields), group in groups.items():
        said = "; ".join(values(name, group) for name in fields)
        yield f"{len(group)} {why}{f': {said}' * bool(said)} (such as {group[0].cell})"


def values(name: str, group: Sequence[Reason]) -> str:
    """`model.width 32 -> 64, 48 -> 96`: what a field was and is in a group."""
    found = list(dict.fromkeys(change(*reason.changes[name]) for reason in group))
    more = f" and {len(found) - VALUES} more" * (len(found) > VALUES)
    return f"{name} {', '.join(found[:VALUES])}{more}"


def detail(reason: Reason, workdir: Workdir) -> Lines:
    """One cell: whether it would run, and what is between it and the nearest on the other side."""
    yield "cell", named(reason.cell, workdir)
    if reason.cell not in workdir.planned:
        yield "stays", STRAY
    elif reason.status:
        yield "has run", "it has a result, so it would not run again"
    else:
        yield "would run", cause(reason, workdir)
    if reason.status and reason.status["status"] == "failed":
        yield "again", f"to run it anew remove the folder {records.cell_dir(workdir.path, reason.cell)}"
    if reason.nearest:
        yield from nearest(reason, workdir)


def nearest(reason: Reason, workdir: Workdir) -> Lines:
    """The nearest cell on the other side, field by field what was recorded and is planned, and where it comes from."""
    yield "nearest", named(reason.nearest, workdir)
    yield from (("differs", f"{name} {change(*both)}") for name, both in reason.changes.items())
    recorded = reason.nearest if reason.cell in workdir.planned else reason.cell
    version = workdir.version_of(recorded)
    if version != SCHEMA_VERSION:
        yield "schema", f"{recorded} was named under version {version or 'unknown'}, it is {SCHEMA_VERSION} now"
    yield "made from", sources(recorded, workdir)


def named(cell: str, workdir: Workdir) -> str:
    """A cell by its id, its values on the axes of the plan, and how it ended, if it has."""
    config = workdir.planned.get(cell) or workdir.recorded[cell]
    arm = {ARM: workdir.plan.arms[cell]} if cell in workdir.plan.arms else {}
    axes = [name for name, of_axis in workdir.plan.axes.items() if len(of_axis) > 1 and name in config]
    status = workdir.statuses.get(cell, {})
    reason = f": {line(status['reason'])}" if status.get("reason") else ""
    shown = (cell, pairs(arm | {name: config[name] for name in axes}), status.get("status", "") + reason)
    return "  ".join(filter(None, shown))


def sources(cell: str, workdir: Workdir) -> str:
    """What a recorded cell was made from."""
    path = records.cell_dir(workdir.path, cell) / "summary.json"
    found = records.read_json(path) if path.is_file() else {}
    return ", ".join(f"{name} {str(found[name])[:12]}" for name in ("commit", "jax", "device") if found.get(name))


def around(workdir: Workdir) -> Lines:
    """What concerns all cells: data, schema, and for information code and libraries."""
    before, now = workdir.manifest, provenance.collect()
    if before["name"] != workdir.plan.file.name:
        yield "sweep", f"the workdir holds {before['name']!r}: launch refuses it for {workdir.plan.file.name!r}"
    for name, about in planning.described(workdir.plan):
        was = before["data"].get(name, {}).get("fingerprint")
        as_was = {None: "not read before", about.fingerprint: "as before"}
        yield "data", f"{name} {about.fingerprint[:12]}, {as_was.get(was, f'was {was}: launch refuses this workdir')}"
    older = Counter(workdir.version_of(cell) or "unknown" for cell in workdir.strays)
    said = [f"{count} stray cells were named under {version}" for version, count in older.items()]
    yield "schema", "; ".join([f"version {SCHEMA_VERSION}", *(said if set(older) - {SCHEMA_VERSION} else [])])
    yield "code", f"{'; '.join(moved(before['provenance'], now))} (for information: no cell runs again for it)"


def moved(before: Mapping, now: Mapping) -> Iterator[str]:
    """`commit a -> b`, `jax 0.10.1 -> 0.10.2`: sources of the recorded results and of a launch now."""
    commits = [commit(source.get("git") or {}) for source in (before, now)]
    yield f"commit {' -> '.join(dict.fromkeys(commits))}"
    for name, version in now["versions"].items():
        was = before["versions"].get(name, "unknown")
        if was != version:
            yield f"{name} {was} -> {version}"


def commit(git: Mapping) -> str:
    """A commit in short, and whether files differed from it."""
    return git.get("commit", "unknown")[:12] + " with changes" * bool(git.get("dirty"))


def explain(workdir: Workdir, cell: str | None = None) -> Lines:
    """What the command prints. Raises: UserError where `cell` means none."""
    found = workdir.reasons()
    chosen = list(found) if cell is None else choose(cell, workdir)
    reasons = [found[name] for name in chosen if name in found] + workdir.stray([n for n in chosen if n not in found])
    if cell is None or len(chosen) > DETAILED:
        yield from summary(reasons, workdir)
    else:
        yield from itertools.chain.from_iterable(detail(reason, workdir) for reason in reasons)
    if cell is None:
        yield from strays(workdir)
    yield from around(workdir)


def choose(cell: str, workdir: Workdir) -> list[str]:
    """The cells that a text means: of the plan, or where that has none of the kind, of the workdir."""
    flat = workdir.planned | workdir.recorded
    named = {
        name: config | ({ARM: workdir.plan.arms[name]} if name in workdir.plan.arms else {})
        for name, config in flat.items()
    }
    found = cell_choice.choose(cell, named, workdir.plan.axes)
    return [name for name in found if name in workdir.planned] or found


def main(argv: Sequence[str]) -> None:
    """Says why. Raises: UserError with all that is wrong with flags, sweep file, cells, data and workdir."""
    parser = Parser("experiments.why", __doc__)
    parser.add_argument("--config", required=True, help="a sweep file; --config.FIELD=VALUE changes a field of it")
    parser.add_argument("--size", help="one of the file's SIZES; default: quick, else the first")
    parser.add_argument("cell", nargs="?", metavar="CELL", help="default: all cells of the plan, by cause")
    flags, rest = parser.parse_known_args(argv)
    _, plan = together(
        lambda: records.sweep(flags.workdir),
        lambda: planning.make(sweep_file.read(flags.config, flags.size), sweep_file.parse(rest, FLAGS)),
    )
    console, last = Screen(), None
    for label, text in explain(reasons.read(flags.workdir, plan), flags.cell):
        console.print(Text.assemble((f"{label if label != last else '':<11}", "bold"), shown(text)), soft_wrap=True)
        last = label


if __name__ == "__main__":
    run(main)
