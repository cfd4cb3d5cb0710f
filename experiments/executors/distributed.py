"""Runs every program on all processes of a launch together, each on its own machine: for cells too big for one.

Every process is started with the same command. The first one takes the leases, says which cells are next, and writes
their records; the others follow it step by step. A process that ends, ends them all, and the same command goes on from
the last checkpoint.
"""

import time
from collections.abc import Iterator

from experiments.executors.backlog import LOOK, Backlog
from experiments.files import RecordError
from experiments.leases import Leases
from experiments.settings import Settings


def run(workdir: str, programs: dict[str, list[str]], settings: Settings, leases: Leases) -> Iterator[dict]:
    """The events of all programs, one after the other, on lane 0, in the first process.

    Raises: RecordError, when a lease was lost: the other processes would go on with what another launcher has.
    """
    from experiments import compiled, engine, hosts

    hosts.join(settings)
    compiled.provide(settings)
    compiled.cache_compilations()
    backlog = Backlog(workdir, programs, leases)
    while backlog.waiting:
        task = backlog.take()
        yield from backlog.news()
        hosts.agreed(task.cells if task else [])
        if task is None:
            time.sleep(LOOK)
            continue
        yield {"event": "program", "program": task.program, "cells": len(task.cells), "lane": 0}
        lease = backlog.lease(task)
        for event in engine.run_cells(workdir, task.cells, settings, lease):
            yield event | {"lane": 0}
        if not leases.mine[task.program].exists():
            raise RecordError(f"{lease}: the lease was lost; expected one launcher of these processes")
        backlog.end(task)
    hosts.agreed(None)


def follow(workdir: str, settings: Settings) -> None:
    """What every other process does: trains the cells that the first one names, until it names none any more."""
    from experiments import compiled, engine, hosts

    hosts.join(settings)
    compiled.provide(settings)
    compiled.cache_compilations()
    while (cells := hosts.agreed(None)) is not None:
        for _ in engine.run_cells(workdir, cells, settings):
            pass
