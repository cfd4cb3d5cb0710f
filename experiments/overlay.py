"""Several sweeps side by side: what to call each, and in what they differ."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.labels import say, short_names
from experiments.metrics.cells import describe
from experiments.tables.arms import Report
from experiments.tables.caption import unit
from experiments.tables.trials import columns_of
from flax_tx.config import knobs
from flax_tx.errors import UserError

SHOWN = 6  # fields that a note names


def names(workdirs: Sequence[str | os.PathLike]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart, without what all end in; nothing for one alone.

    Raises: UserError for a folder that is there twice.
    """
    paths = [Path(os.path.realpath(workdir)).parts for workdir in workdirs]  # a loop of links is no error to it
    if twice := [str(workdir) for i, workdir in enumerate(workdirs) if paths[i] in paths[:i]]:
        raise UserError(f"workdir {name!r}: it is there twice" for name in twice)
    if len(paths) == 1:
        return [""]
    ends = ([parts[-length:] for parts in paths] for length in range(1, max(map(len, paths)) + 1))
    apart = next(found for found in ends if len(set(found)) == len(found))
    while len(apart[0]) > 1 and len({end[-1] for end in apart}) == 1 and all(len(end) > 1 for end in apart):
        apart = [end[:-1] for end in apart]
    return [str(Path(*end)) for end in apart]


def notes(reports: Mapping[str, Report], shown: Sequence[str]) -> list[str]:
    """In what the sweeps differ beside the fields that are shown, a line each: data, unit, what each holds fixed."""
    if len(reports) == 1:
        return []
    return [*_data(reports), *_units(reports), *_fixed(reports, shown)]


def _data(reports: Mapping[str, Report]) -> Iterator[str]:
    found = {name: _fingerprints(report) for name, report in reports.items()}
    if len(set(found.values())) > 1:
        yield f"data differ, so losses are not comparable: {_each(found)}"


def _fingerprints(report: Report) -> str:
    rows = report.frame.to_dict("records")
    used = {str(describe(report.manifest["data"], row).get("fingerprint"))[:12]: row["data.name"] for row in rows}
    return ", ".join(f"{used[fingerprint]} {fingerprint}" for fingerprint in sorted(used))


def _units(reports: Mapping[str, Report]) -> Iterator[str]:
    found = {name: unit(report.manifest, "final_train_loss") for name, report in reports.items()}
    if len(set(found.values())) > 1:
        yield f"losses are in {_each(found)}"


def _fixed(reports: Mapping[str, Report], shown: Sequence[str]) -> Iterator[str]:
    differing = {}
    for name in knobs():
        values = {sweep: dict.fromkeys(columns_of(report.frame, (name,))) for sweep, report in reports.items()}
        if name not in shown and all(len(each) == 1 for each in values.values()):
            said = {sweep: say(next(iter(each))[0]) for sweep, each in values.items()}
            differing |= {name: said} if len(set(said.values())) > 1 else {}
    short = short_names(differing)
    lines = [f"{short[name]} {_each(said)}" for name, said in differing.items()]
    if lines:
        yield f"sweeps differ in {'; '.join(lines[:SHOWN])}{f' and {len(lines) - SHOWN} more' * (len(lines) > SHOWN)}"


def _each(said: Mapping[str, str]) -> str:
    return ", ".join(f"{text} in {name}" for name, text in said.items())
