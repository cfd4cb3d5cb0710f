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
    begin, eaten = engine.begin, []

    def eat(desk, member, *rest):
        if member.cell == hungry:
            eaten.append(b"\1" * 3_000_000_000)
        begin(desk, member, *rest)

    engine.begin = eat


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
