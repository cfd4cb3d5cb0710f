"""Lanes on this machine: one worker process per core, each fed with programs; a lost lane costs one program.

A program whose lane dies is tried again, then split in two, down to single cells; a cell that kills its lane alone is
recorded as failed. The launching process never imports JAX.
"""

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from experiments import records


@dataclass
class Task:
    """Cells of one program that are to be run, and how often their lane died on them."""

    program: str
    cells: list[str]
    deaths: int = 0


def cores() -> list[int]:
    """The cores that this process may use."""
    process = psutil.Process()
    return process.cpu_affinity() if hasattr(process, "cpu_affinity") else list(range(os.cpu_count() or 1))


class Lane:
    """A worker process, the task it has, and a thread that puts its events on a common queue."""

    def __init__(self, workdir: str, number: int, core: int, events: queue.Queue):
        self.number, self.core, self.workdir, self.events = number, core, workdir, events
        self.task: Task | None = None
        log = Path(workdir) / "logs" / f"lane-{number}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "experiments.executors.lane", workdir, str(core)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,  # Ctrl-C reaches the launcher, which decides
                text=True,
            )
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        for line in self.process.stdout:
            self.events.put((self, json.loads(line)))
        self.events.put((self, {"event": "dead", "code": self.process.wait()}))

    def give(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # a lane that just died is noticed by its listener
            self.process.stdin.write(json.dumps({"program": task.program, "cells": task.cells}) + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def run(workdir: str, programs: dict[str, list[str]], lanes: int = 0) -> Iterator[dict]:
    """The events of all programs. `lanes`: how many; 0: one per core. Lanes are stopped however this ends."""
    own = cores()
    count = min(lanes or len(own), len(programs))
    waiting = collections.deque(Task(program, cells) for program, cells in programs.items())
    events: queue.Queue = queue.Queue()
    team = [Lane(workdir, number, own[number % len(own)], events) for number in range(count)]
    try:
        while team:
            lane, event = events.get()
            if event["event"] == "idle":
                lane.task = None
                if not waiting:
                    lane.stop()
                    team.remove(lane)
                    continue
                lane.give(waiting.popleft())
                event = {"event": "program", "program": lane.task.program, "cells": len(lane.task.cells)}
            elif event["event"] == "dead":
                if lane not in team:
                    continue
                team.remove(lane)
                yield from bury(workdir, lane, event["code"], waiting)
                if waiting:
                    team.append(Lane(workdir, lane.number, lane.core, events))
                continue
            yield event | {"lane": lane.number}
    finally:
        for lane in team:
            lane.stop()


def bury(workdir: str, lane: Lane, code: int, waiting: collections.deque) -> Iterator[dict]:
    """Puts what a dead lane left undone back in the queue, or records the one cell that killed it twice."""
    reason = f"lane died: {signal.Signals(-code).name}" if code < 0 else f"lane died with exit status {code}"
    if lane.task is None:
        raise RuntimeError(f"{reason} before its first program; see {workdir}/logs/lane-{lane.number}.log")
    done = records.finished(workdir, lane.task.cells)
    left, deaths = [cell for cell in lane.task.cells if cell not in done], lane.task.deaths + 1
    if len(left) == 1 and deaths > 1:
        outcome = {"status": "failed", "reason": f"{reason}, twice, with this cell alone", "seconds": None}
        outcome["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        records.write_result(workdir, left[0], None, None, None, outcome)
        yield {"event": "cell", "cell": left[0], "val_loss": None, "lane": lane.number, **outcome}
        return
    middle = len(left) // 2 if deaths > 1 else 0
    for part in (left[middle:], left[:middle]):
        if part:
            waiting.appendleft(Task(lane.task.program, part, deaths if middle == 0 else 1))
    if left:
        yield {
            "event": "retry",
            "program": lane.task.program,
            "cells": len(left),
            "reason": reason,
            "lane": lane.number,
        }
