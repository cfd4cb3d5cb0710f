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
    fine = process.returncode == 0 or process.returncode in ENDINGS[signum]
    wrong = [] if fine else [f"exit status {process.returncode} after {signal.Signals(signum).name}: {errors[-300:]}"]
    started = "KeyboardInterrupt" not in errors  # Ctrl-C while Python itself starts is Python's to report
    return wrong + ([f"traceback: {errors[-300:]}"] if "Traceback" in errors and started else [])


def kill_lanes(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Kills the lane of a launcher that goes on: one kill for each sweep, at any moment of the lane's life."""
    total = Tally()
    while total.tries < tries:
        workdir = arena.fresh()
        process = arena.launch(workdir)
        before = kill_lane(arena, workdir, process, rng.uniform(0, arena.seconds * 0.8))
        _, errors = process.communicate(timeout=PATIENCE)
        wrong = [f"exit status {process.returncode}: {errors[-300:]}"] if process.returncode else []
        total.add(judge(arena, workdir, before or {}, before is not None, wrong))
    return total


def kill_lane(arena: Arena, workdir: Path, launcher: subprocess.Popen, delay: float) -> dict[str, str] | None:
    """Waits for a lane that has said something and kills it. None when there was none to kill any more."""
    time.sleep(delay)
    while launcher.poll() is None:
        working = [path for path in (workdir / "leases").glob("*") if path.name != "sweep"]
        for lane in lanes(workdir) if working else ():  # to die before any work is another matter
            with contextlib.suppress(psutil.NoSuchProcess):
                lane.kill()
                return kept(workdir, arena.cells)
        time.sleep(0.05)
    return None


KILLS = [
    Fault("SIGKILL of a lane", 50, kill_lanes),
    Fault("SIGKILL of the launcher", 50, functools.partial(end_launchers, signal.SIGKILL)),
    Fault("SIGTERM to the launcher", 20, functools.partial(end_launchers, signal.SIGTERM)),
    Fault("Ctrl-C", 20, functools.partial(end_launchers, signal.SIGINT)),
]
