"""What is left to run: tasks that wait for a lane, and the leases on their programs."""

import collections
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from experiments import records
from experiments.leases import Leases

LOOK = 1.0  # seconds between two looks at what other launchers do


@dataclass
class Task:
    """Cells of one program that are to be run, and how often their lane died on them."""

    program: str
    cells: list[str]
    deaths: int = 0


class Backlog:
    """Tasks in order. A program's lease is held from its first task on, until none of its tasks is left."""

    def __init__(self, workdir: str, programs: dict[str, list[str]], leases: Leases):
        self.workdir, self.leases = workdir, leases
        self.waiting = collections.deque(Task(program, cells) for program, cells in programs.items())
        self.running: collections.Counter = collections.Counter()
        self.elsewhere = {cell for cells in programs.values() for cell in cells}  # may get results from others
        self.told: dict[str, str] = {}
        self.looked = -math.inf  # when others were last looked at

    def take(self) -> Task | None:
        """The next task of a program that no other launcher has, without the cells that have a result by now."""
        for task in [*self.waiting]:
            if not self.leases.take(task.program):
                continue
            self.waiting.remove(task)
            self.running[task.program] += 1
            done = records.finished(self.workdir, task.cells)
            self.looked = -math.inf if done else self.looked
            task.cells = [cell for cell in task.cells if cell not in done]
            if task.cells:
                self.elsewhere -= {*task.cells}
                return task
            self.end(task)
        return None

    def lease(self, task: Task) -> str:
        """The file of the lease under which a task runs."""
        return str(self.leases.mine[task.program])

    def end(self, task: Task) -> None:
        """A lane is done with a task. What it left, since its lease was lost, waits for the new holder to run it."""
        done = records.finished(self.workdir, task.cells)
        left = [cell for cell in task.cells if cell not in done]
        self.elsewhere |= {*left}
        if left:
            self.waiting.append(Task(task.program, left, task.deaths))
        self.release(task)

    def divide(self, task: Task, parts: list[list[str]]) -> None:
        """A lane died of a task: these parts of it are next."""
        self.waiting.extendleft(Task(task.program, part, 1) for part in reversed(parts) if part)
        self.release(task)

    def release(self, task: Task) -> None:
        """Gives the lease on a program back when none of its tasks is left, or when it was lost."""
        self.running[task.program] -= 1
        lost = not self.leases.mine[task.program].exists()
        if not self.running[task.program] and (lost or all(task.program != other.program for other in self.waiting)):
            self.leases.give_back(task.program)

    def news(self) -> Iterator[dict]:
        """What other launchers did since the last look, and whom the rest waits for; one look in LOOK seconds."""
        if time.monotonic() < self.looked + LOOK:
            return
        self.looked = time.monotonic()
        for cell in sorted(records.finished(self.workdir, self.elsewhere)):
            self.elsewhere.discard(cell)
            yield {"event": "found", "cell": cell, "lane": None, **shown(self.workdir, cell)}
        for task in self.waiting:
            holder = str(self.leases.holder(task.program) or "")
            if holder and task.program not in self.leases.mine and self.told.get(task.program) != holder:
                self.told[task.program] = holder
                about = {"program": task.program, "cells": len(task.cells), "holder": holder}
                yield {"event": "waiting", "lane": None, **about}


def shown(workdir: str, cell: str) -> dict:
    """What an event says of a cell that has a result."""
    end = records.outcome(workdir, cell)
    return {name: end.get(name) for name in ("status", "reason", "seconds", "val_loss")}
