"""Lanes on this machine: one worker process per core or GPU, each fed with programs; a lost lane costs one program.

Where cells have a mesh, a lane has as many cores or GPUs as the largest of them.

A program whose lane dies is tried again, then split in two, down to single cells; a cell that kills its lane alone is
recorded as failed. The launching process never imports JAX.
"""

import queue
from collections.abc import Iterator
from datetime import UTC, datetime

from experiments import records
from experiments.executors import devices
from experiments.executors.backlog import LOOK, Backlog, Task
from experiments.executors.devices import Device
from experiments.executors.worker import Lane
from experiments.files import RecordError
from experiments.leases import Leases
from experiments.settings import Settings

STILLBORN = 3  # lanes in a row that end before they are ready: then another one would not help


def run(workdir: str, programs: dict[str, list[str]], settings: Settings, leases: Leases) -> Iterator[dict]:
    """The events of all programs. Lanes are stopped however this ends.

    Raises: RecordError, when results cannot be written or no lane starts.
    """
    backlog, team = Backlog(workdir, programs, leases), Team(workdir, len(programs), settings)
    try:
        while backlog.waiting or team.busy():
            yield from team.feed(backlog)
            yield from backlog.news()
            yield from team.hear(backlog)
    finally:
        team.stop()


class Team:
    """The lanes of a launcher."""

    def __init__(self, workdir: str, most: int, settings: Settings):
        self.workdir, self.settings, self.events = workdir, settings, queue.Queue()
        self.lanes: list[Lane] = []
        self.stillborn = 0
        for number, device in enumerate(devices.own(settings.device, settings.lanes, settings.lane_devices)[:most]):
            self.hire(number, device)

    def hire(self, number: int, device: Device) -> None:
        """Starts a lane."""
        self.lanes.append(Lane(self.workdir, number, device, self.events, self.settings.lane_memory))

    def busy(self) -> bool:
        """Whether any lane has a task."""
        return any(lane.task for lane in self.lanes)

    def stop(self) -> None:
        """Ends all lanes."""
        for lane in self.lanes:
            lane.stop()

    def feed(self, backlog: Backlog) -> Iterator[dict]:
        """Gives every idle lane a task, as far as there are any that this launcher may run."""
        for lane in [lane for lane in self.lanes if lane.idle]:
            if task := backlog.take():
                lane.give(task, self.settings, backlog.lease(task))
                about = {"program": task.program, "cells": len(task.cells)}
                yield {"event": "program", "lane": lane.number, **about}
            elif not backlog.waiting:
                self.lanes.remove(lane)
                lane.stop()

    def hear(self, backlog: Backlog) -> Iterator[dict]:
        """Waits for the next event of a lane, or a moment."""
        try:
            lane, event = self.events.get(timeout=LOOK)
        except queue.Empty:
            return
        if lane not in self.lanes:
            return
        if event["event"] == "stop":
            raise RecordError(event["reason"])
        if event["event"] == "dead":
            yield from self.bury(lane, event["reason"], backlog)
        elif event["event"] == "idle":
            if lane.task:
                backlog.end(lane.task)
            lane.task, lane.idle, self.stillborn = None, True, 0
        else:
            yield event | {"lane": lane.number}

    def bury(self, lane: Lane, reason: str, backlog: Backlog) -> Iterator[dict]:
        """Takes a dead lane away, and starts another. Raises: RecordError, when none gets ready any more."""
        self.lanes.remove(lane)
        self.stillborn += not lane.started
        if self.stillborn >= STILLBORN:
            raise RecordError(f"{reason} before its first program, as {STILLBORN} did in a row; see {lane.log}")
        if lane.task:
            yield from inherit(self.workdir, lane.task, reason, backlog, lane.number)
        self.hire(lane.number, lane.device)


def inherit(workdir: str, task: Task, reason: str, backlog: Backlog, lane: int) -> Iterator[dict]:
    """Puts what a dead lane left undone back in the backlog, or records the one cell that killed it twice."""
    done = records.finished(workdir, task.cells)
    left, deaths = [cell for cell in task.cells if cell not in done], task.deaths + 1
    if len(left) == 1 and deaths > 1:
        yield fail(workdir, left.pop(), f"{reason}, again, and with this cell alone") | {"lane": lane}
    elif left:
        about = {"program": task.program, "cells": len(left), "reason": reason}
        yield {"event": "retry", "lane": lane, **about}
    middle = len(left) // 2 if deaths > 1 else 0
    backlog.divide(task, [left[:middle], left[middle:]])


def fail(workdir: str, cell: str, reason: str) -> dict:
    """Records a cell as failed, and gives the event that says so."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    outcome = {"status": "failed", "reason": reason, "seconds": None, "finished": now}
    records.write_result(workdir, cell, None, None, None, outcome)
    return {"event": "cell", "cell": cell, "val_loss": None, **outcome}
