"""Processes that are ended at random moments: lanes, launchers, politely and not."""

import contextlib
import functools
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from experiments import records
from faults.arena import PATIENCE, Arena, kept, lanes
from faults.fault import Fault, Tally

ENDINGS = {
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGTERM: (143, -signal.SIGTERM),  # the second before the program has begun to listen
    signal.SIGINT: (130, -signal.SIGINT),
}


def judge(arena: Arena, workdir: Path, before: dict[str, str], tries: int, wrong: list[str], *more: str) -> Tally:
    """Runs the same command (and `more`) to its end, then compares. `before`: what was kept when the fault struck."""
    wrong += arena.finish(workdir, *more)
    after = kept(workdir, arena.cells)
    lost = sum(after.get(cell) != digest for cell, digest in before.items())
    tally = Tally(tries, lost, len(arena.changed(workdir)), [f"{workdir.name}: {line}" for line in wrong])
    if tally.clean():
        shutil.rmtree(workdir)
    return tally


def end_launchers(signum: int, arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Ends launcher after launcher of one sweep until it is finished, then begins another."""
    total = Tally()
    while total.tries < tries:
        workdir, before, wrong, hits = arena.fresh(), {}, [], 0
        while total.tries + hits < tries:
            process = arena.launch(workdir)
            if not strike(process, signum, rng.uniform(0, arena.seconds)):
                break
            hits += 1
            wrong += said(process, signum)
            lanes(workdir, patience=20)
            before |= {cell: digest for cell, digest in kept(workdir, arena.cells).items() if cell not in before}
        total.add(judge(arena, workdir, before, hits, wrong))
    return total


def strike(process: subprocess.Popen, signum: int, delay: float) -> bool:
    """Sends a signal after a while. False when the process ended before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=delay)
        return False
    process.send_signal(signum)
    return True


def said(process: subprocess.Popen, signum: int) -> list[str]:
    """What is wrong with how a process ended."""
    _, errors = process.communicate(timeout=PATIENCE)
    started = "KeyboardInterrupt" not in errors  # Ctrl-C while Python itself starts is Python's to report
    fine = process.returncode == 0 or process.returncode in ENDINGS[signum]
    fine = fine or not (started or "/experiments/" in errors)
    wrong = [] if fine else [f"exit status {process.returncode} after {signal.Signals(signum).name}: {errors[-300:]}"]
    return wrong + ([f"traceback: {errors[-300:]}"] if "Traceback" in errors and started else [])


def kill_lanes(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Kills the lanes of launchers that go on: two in each sweep, at any moment of a lane's life.

    The second may find its cell alone, which then is `failed` by right; --retry=failed trains it.
    """
    total = Tally()
    while total.tries < tries:
        workdir = arena.fresh()
        process, before, hits = arena.launch(workdir), {}, 0
        for _ in range(min(2, tries - total.tries)):
            if kill_lane(workdir, process, rng.uniform(0, arena.seconds * 0.7)):
                hits += 1
                before |= done(workdir, arena.cells)
        _, errors = process.communicate(timeout=PATIENCE)
        wrong = [] if process.returncode in (0, 1) and not errors else [f"{process.returncode}: {errors[-300:]}"]
        total.add(judge(arena, workdir, before, hits, wrong, "--retry=failed"))
    return total


def done(workdir: Path, cells: list[str]) -> dict[str, str]:
    """What the cells left that did not fail."""
    return {
        cell: digest
        for cell, digest in kept(workdir, cells).items()
        if records.outcome(workdir, cell)["status"] != "failed"
    }


def kill_lane(workdir: Path, launcher: subprocess.Popen, delay: float) -> bool:
    """Waits, then kills a lane. False when there is none to kill any more."""
    time.sleep(delay)
    while launcher.poll() is None:
        for lane in lanes(workdir):
            with contextlib.suppress(psutil.NoSuchProcess):
                lane.kill()
                return True
        time.sleep(0.05)
    return False


KILLS = [
    Fault("SIGKILL of a lane", 50, kill_lanes),
    Fault("SIGKILL of the launcher", 50, functools.partial(end_launchers, signal.SIGKILL)),
    Fault("SIGTERM to the launcher", 20, functools.partial(end_launchers, signal.SIGTERM)),
    Fault("Ctrl-C", 20, functools.partial(end_launchers, signal.SIGINT)),
]
