"""How long launches took: one file launches/<start>.json in the workdir for each launch that ran something."""

import datetime
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from experiments import provenance, records, shapes
from experiments.leases import Leases
from experiments.plan import Plan

STAMP = "%Y%m%dT%H%M%S.%fZ"


class Watch:
    """What a launch has run so far: the cells that ended, on which lanes, and what interrupted it."""

    def __init__(self, workdir: str | os.PathLike, programs: Mapping[str, list[str]]):
        self.workdir, self.programs = workdir, programs
        self.cells: set[str] = set()
        self.lanes: set[int] = set()
        self.taken: dict[int, set[str]] = {}  # lane -> what its program lacked when it took it, and the lease on it
        self.signal = 0  # that interrupted it

    def note(self, event: dict) -> None:
        """Takes an event of an executor into account."""
        kind, lane = event["event"], event["lane"]
        if lane is not None:
            self.lanes.add(lane)
        if kind == "cell":
            self.cells.add(event["cell"])
        elif kind == "program":
            cells = self.programs[event["program"]]
            self.taken[lane] = set(cells) - records.finished(self.workdir, cells)
        elif kind == "retry":
            self.taken.pop(lane, None)

    def ended(self) -> set[str]:
        """The cells that this launch ran, also one whose result was written as an interruption came."""
        return self.cells | records.finished(self.workdir, set().union(*self.taken.values()))


@contextmanager
def timed(workdir: str | os.PathLike, command: str, plan: Plan, leases: Leases) -> Iterator[Watch]:
    """A watch for one launch; its file is written when the launch ends, however it ends, if any lane had work.

    {"command", "size", "started", "ended": UTC, "seconds", "cells_run", "lanes", "interrupted", "git"}
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    watch = Watch(workdir, plan.programs)
    try:
        yield watch
    finally:
        if watch.lanes:
            about = {
                "command": command,
                "size": plan.file.size,
                "started": started.isoformat(timespec="seconds"),
                "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - clock, 1),
                "cells_run": len(watch.ended()),
                "lanes": len(watch.lanes),
                "interrupted": bool(watch.signal),
                "git": provenance.git(),
            }
            with leases.hold("sweep"):
                records.write_json(Path(workdir) / "launches" / f"{started.strftime(STAMP)}.json", about)


def load(workdir: str | os.PathLike) -> list[dict]:
    """The launches of a workdir, the first one first."""
    return [read(path) for path in sorted((Path(workdir) / "launches").glob("*.json"))]


def read(path: Path) -> dict:
    """One launch. Raises: RecordError, one line that names the file."""
    return records.checked(path, records.read_json(path), shapes.Launch)
