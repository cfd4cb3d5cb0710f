"""Two launchers on one workdir, a clock that jumps, and a cell that takes more memory than its lane may."""

import contextlib
import os
import random
import time
import uuid
from pathlib import Path

from experiments import records
from faults.arena import PATIENCE, Arena, kept
from faults.fault import Fault, Tally
from faults.kills import judge


def two_at_once(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Two launchers of one sweep, the second some time after the first, which on half of the tries is killed."""
    total = Tally()
    arena = Arena.open(arena.folder / uuid.uuid4().hex[:8], ("post", "pre")) if tries else arena
    for number in range(tries):
        workdir = arena.fresh()
        first = arena.launch(workdir)
        time.sleep(rng.uniform(0, arena.seconds / 2))
        second, before = arena.launch(workdir), {}
        if number % 2:
            time.sleep(rng.uniform(0, arena.seconds))
            first.kill()
            before = kept(workdir, arena.cells)
        ends = [process.communicate(timeout=PATIENCE)[1] for process in (first, second)]
        wrong = [text[-300:] for text in ends if text]
        wrong += [f"exit status {second.returncode}"] if second.returncode else []
        wrong += run_twice(workdir) if number % 2 == 0 else []
        total.add(judge(arena, workdir, before, 1, wrong))
    return total


def run_twice(workdir: Path) -> list[str]:
    """What is wrong where launchers that were left alone say that they ran more cells than there are."""
    ran = sum(records.read_json(path)["cells_run"] for path in (workdir / "launches").glob("*.json"))
    cells = len(records.sweep(workdir)["cells"])
    return [f"{ran} runs of {cells} cells"] if ran > cells else []


def clock_jumps(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """A launcher whose clock of the wall jumps by up to ten years while files get times of up to ten years away."""
    total = Tally()
    for _ in range(tries):
        workdir = arena.fresh()
        process = arena.launch(workdir, FAULT_CLOCK="1")
        while process.poll() is None:
            time.sleep(arena.seconds / 20)
            shift(workdir, time.time() + rng.uniform(-1, 1) * 3e8)
        _, errors = process.communicate(timeout=PATIENCE)
        wrong = [f"exit status {process.returncode}: {errors[-300:]}"] if process.returncode else []
        total.add(judge(arena, workdir, {}, 1, wrong))
    return total


def shift(workdir: Path, now: float) -> None:
    """Gives every file another time, as a clock that jumped would."""
    for path in workdir.rglob("*"):
        with contextlib.suppress(OSError):  # it was renamed meanwhile
            os.utime(path, (now, now))


def too_much_memory(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """One cell of the sweep takes more memory than a lane may: it alone fails, with that reason."""
    total = Tally()
    for _ in range(tries):
        workdir, hungry = arena.fresh(), rng.choice(arena.cells)
        process = arena.launch(workdir, "--lane_memory=1500M", FAULT_HUNGRY=hungry)
        _, errors = process.communicate(timeout=PATIENCE)
        wrong = [] if process.returncode == 1 else [f"exit status {process.returncode}: {errors[-300:]}"]
        end = records.outcome(workdir, hungry)
        if end["status"] != "failed" or "more than --lane_memory" not in str(end.get("reason")):
            wrong.append(f"the hungry cell is {end}")
        if set(arena.changed(workdir)) - {hungry}:
            wrong.append("its neighbours paid for it")
        total.add(judge(arena, workdir, kept_but(workdir, arena, hungry), 1, wrong, "--retry=failed"))
    return total


def kept_but(workdir: Path, arena: Arena, cell: str) -> dict[str, str]:
    """What all cells but one left."""
    return {name: digest for name, digest in kept(workdir, arena.cells).items() if name != cell}


LAUNCHERS = [
    Fault("two launchers at once", 10, two_at_once),
    Fault("jumps of the clock", 5, clock_jumps),
    Fault("a cell beyond its lane's memory", 3, too_much_memory),
]
