"""Runs every program in this process: for tests and debuggers."""

import os
import time
from collections.abc import Iterator

from experiments.executors import devices
from experiments.executors.backlog import LOOK, Backlog
from experiments.leases import Leases
from experiments.settings import Settings


def run(workdir: str, programs: dict[str, list[str]], settings: Settings, leases: Leases) -> Iterator[dict]:
    """The events of all programs, one after the other, on lane 0."""
    if settings.device != "auto":  # else it is JAX that chooses
        os.environ.update(devices.own(settings.device)[0].environment)
    from experiments import compiled, engine  # JAX enters the process only where programs run

    compiled.cache_compilations()
    backlog = Backlog(workdir, programs, leases)
    while backlog.waiting:
        task = backlog.take()
        yield from backlog.news()
        if task is None:
            time.sleep(LOOK)
            continue
        yield {"event": "program", "program": task.program, "cells": len(task.cells), "lane": 0}
        for event in engine.run_cells(workdir, task.cells, settings, backlog.lease(task)):
            yield event | {"lane": 0}
        backlog.end(task)
