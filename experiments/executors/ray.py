"""Lanes on the nodes of a Ray cluster: each task is an errand, one program on one lane. This process never imports JAX.

A lane or a worker of Ray that dies is what a lost lane is on this machine: its program is tried again, then split. A
node that is lost is no fault of any cell: its program is tried again as often as that happens. Results are written by
the lane where the node sees the workdir, and else here, while the lease holds.
"""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments import provenance, records
from experiments.executors import cluster, errand, needs
from experiments.executors.backlog import LOOK, Backlog, Task
from experiments.executors.local import STILLBORN, inherit
from experiments.files import RecordError, read_bytes, trouble
from experiments.leases import Leases, Lost, check
from experiments.settings import Settings

ray = cluster.library()
ERRAND = ray.remote(errand.run)
LOST = (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError)  # a node, and what it had to say
DIED = (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.RaySystemError)
JOINING = 60.0  # seconds in which nodes may still come, before a program is left that fits on none


def run(workdir: str, programs: dict[str, list[str]], settings: Settings, leases: Leases) -> Iterator[dict]:
    """The events of all programs. What runs is stopped however this ends.

    Raises: RecordError, when results cannot be written, no lane starts, or a node cannot do what was asked.
    """
    cluster.join(settings.ray_address)
    backlog, fleet = Backlog(workdir, programs, leases), Fleet(workdir, settings)
    try:
        while backlog.waiting or fleet.flights:
            yield from fleet.send(backlog)
            yield from backlog.news()
            yield from fleet.hear(backlog)
    finally:
        cluster.leave()


class Flight(NamedTuple):
    """A task under way: which lane it is, and where its events arrive."""

    task: Task
    lane: int
    lease: str
    events: Any


class Fleet:
    """The tasks of a launch on a cluster."""

    def __init__(self, workdir: str, settings: Settings):
        self.workdir, self.settings = str(Path(workdir).absolute()), settings
        self.flights: list[Flight] = []
        self.stillborn = 0
        self.begun, self.nodes = time.monotonic(), {}  # every node that there was: one that is lost may come back

    def send(self, backlog: Backlog) -> Iterator[dict]:
        """Gives Ray as many tasks as have room and one more, so that no node waits, and an autoscaler sees a need."""
        self.nodes |= cluster.nodes()
        device = devices(self.settings, self.nodes)
        most = self.settings.lanes or cluster.room(device) + 1
        while len(self.flights) < most and (task := backlog.take()):
            demand = device | {"memory": self.settings.lane_memory or needs.memory(self.workdir, task.cells[0])}
            lack = cluster.lacking(demand, self.nodes)
            if lack and time.monotonic() - self.begun < JOINING:
                backlog.end(task)
                return
            if lack:
                yield {"event": "left", "program": task.program, "cells": len(task.cells), "reason": lack, "lane": None}
                backlog.divide(task, [])
            else:
                self.flights.append(self.depart(task, demand, backlog.lease(task)))

    def depart(self, task: Task, demand: Mapping[str, float], lease: str) -> Flight:
        """One task on its way."""
        lane = next(n for n in range(len(self.flights) + 1) if all(n != flight.lane for flight in self.flights))
        configs = {cell: read_bytes(records.cell_dir(self.workdir, cell) / "config.json") for cell in task.cells}
        lease = str(Path(lease).absolute())
        told = errand.Errand(self.workdir, task.program, configs, self.settings, lane, lease, provenance.code())
        return Flight(task, lane, lease, ERRAND.options(name=f"flax_tx {task.program}", **options(demand)).remote(told))

    def hear(self, backlog: Backlog) -> Iterator[dict]:
        """Waits for the next events, or a moment."""
        if not self.flights:
            time.sleep(LOOK)
            return
        ready, _ = ray.wait([flight.events for flight in self.flights], timeout=LOOK)
        for flight in [flight for flight in self.flights if any(flight.events is events for events in ready)]:
            for event in self.arrive(flight, backlog):
                yield event | {"lane": flight.lane}

    def arrive(self, flight: Flight, backlog: Backlog) -> Iterator[dict]:
        """The next event of a flight, or its end."""
        try:
            event = ray.get(next(flight.events))
        except StopIteration:
            self.flights.remove(flight)
            backlog.end(flight.task)
            return
        except LOST as error:
            self.flights.remove(flight)
            where = re.search(r"Node IP: ([^\s,]+)", str(error))
            yield about(flight, "retry", reason=f"the node {where[1]} was lost" if where else "a node was lost")
            backlog.end(flight.task)
            return
        except DIED as error:
            event = {"event": "dead", "started": True, "reason": f"worker died: {shown(error)}"}
        except ray.exceptions.RayError as error:
            raise RecordError(f"a node cannot run programs: {shown(getattr(error, 'cause', None) or error)}") from None
        yield from self.take(flight, event, backlog)

    def take(self, flight: Flight, event: dict, backlog: Backlog) -> Iterator[dict]:
        """Acts upon an event of a lane. Raises: RecordError, where it says that nothing can go on."""
        kind = event["event"]
        if kind == "stop":
            raise RecordError(event["reason"])
        if kind == "ready":
            self.stillborn = 0
            yield about(flight, "program")
        elif kind == "dead":
            self.flights.remove(flight)
            self.stillborn += not event["started"]
            if self.stillborn >= STILLBORN:
                raise RecordError(f"{event['reason']} before its first program, as {STILLBORN} did in a row")
            yield from inherit(self.workdir, flight.task, event["reason"], backlog, flight.lane)
        elif "files" not in event or self.write(flight, event["cell"], event.pop("files")):
            yield event

    def write(self, flight: Flight, cell: str, files: dict[str, bytes]) -> bool:
        """Writes a result that came from a node, unless the lease was lost: then another launch runs the cell."""
        try:
            check(flight.lease)
            records.write_files(self.workdir, cell, files)
        except Lost:
            return False
        except OSError as problem:
            raise RecordError(trouble(problem)) from None
        return True


def devices(settings: Settings, nodes: Mapping[str, cluster.Resources]) -> dict[str, float]:
    """The CPUs and GPUs that one lane takes of its node."""
    wanted = settings.device != "cpu" and any(node.get("GPU") for node in nodes.values())
    gpus = float(wanted) * settings.lane_devices if settings.task_gpus is None else settings.task_gpus
    return {"CPU": max(settings.task_cpus, 1.0 if gpus else settings.lane_devices), "GPU": gpus}


def options(demand: Mapping[str, float]) -> dict[str, Any]:
    """The same as Ray has it, and how it runs a task."""
    return {
        "num_cpus": demand["CPU"],
        "num_gpus": demand["GPU"],
        "memory": demand["memory"],
        "max_retries": 0,  # Ray's own second try would not know what the first one wrote
        "num_returns": "streaming",
        "scheduling_strategy": "SPREAD",
    }


def about(flight: Flight, kind: str, **more: Any) -> dict:
    """An event about the program of a flight."""
    return {"event": kind, "program": flight.task.program, "cells": len(flight.task.cells), **more}


def shown(error: BaseException) -> str:
    """The last line of what an error says."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]
