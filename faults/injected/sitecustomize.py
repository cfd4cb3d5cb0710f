"""What a process of a sweep does to itself when this is on its path: FAULT_CLOCK, FAULT_FULL, FAULT_HUNGRY say what."""

import errno
import os
import random
import sys
import threading
import time

YEARS = 3e8  # seconds, about ten years


def jump() -> None:
    """Every look at the clock of the wall gives another time, up to ten years away."""
    real, offset = time.time, random.uniform(-YEARS, YEARS)

    def now() -> float:
        nonlocal offset
        offset = random.uniform(-YEARS, YEARS) if random.random() < 0.2 else offset
        return real() + offset

    time.time, time.time_ns = now, lambda: int(now() * 1e9)


def grow_hungry(hungry: str) -> None:
    """Has the engine take three gigabytes for one cell."""
    while not hasattr(sys.modules.get("experiments.engine"), "to_line"):  # its last function
        time.sleep(0.001)
    engine = sys.modules["experiments.engine"]
    run_cell = engine.run_cell

    def eat(desk, cell, *rest):
        hog = b"\1" * 3_000_000_000 if cell == hungry else b""
        yield from run_cell(desk, cell, *rest)
        del hog

    engine.run_cell = eat


def fill(share: float) -> None:
    """The disk is full for that share of the writes."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if random.random() < share:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    os.fsync = fsync


if "FAULT_CLOCK" in os.environ:
    jump()
if "FAULT_FULL" in os.environ:
    fill(float(os.environ["FAULT_FULL"]))
if "FAULT_HUNGRY" in os.environ and "experiments.executors.lane" in sys.orig_argv:
    threading.Thread(target=grow_hungry, args=(os.environ["FAULT_HUNGRY"],), daemon=True).start()
