"""What a process of a sweep does to itself when this folder is on its path: FAULT_CLOCK, FAULT_HUNGRY say what."""

import datetime
import os
import random
import sys
import threading
import time
from pathlib import Path

YEARS = 3e8  # seconds, about ten years


def jump() -> None:
    """Every look at the clock of the wall gives another time, up to ten years away."""
    real, offset = time.time, random.uniform(-YEARS, YEARS)

    def now() -> float:
        nonlocal offset
        offset = random.uniform(-YEARS, YEARS) if random.random() < 0.2 else offset
        return real() + offset

    class Jumping(datetime.datetime):
        """The time of day, likewise."""

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now(), tz)

    time.time, time.time_ns = now, lambda: int(now() * 1e9)
    datetime.datetime = Jumping


def eat(workdir: str, cell: str) -> None:
    """Takes three gigabytes as soon as the cell trains."""
    while not (Path(workdir) / "checkpoints" / cell).exists():
        time.sleep(0.01)
    hog = b"\1" * 3_000_000_000
    time.sleep(60)
    del hog


if "FAULT_CLOCK" in os.environ:
    jump()
if "FAULT_HUNGRY" in os.environ and "experiments.executors.lane" in sys.orig_argv:
    workdir = sys.orig_argv[sys.orig_argv.index("experiments.executors.lane") + 1]
    threading.Thread(target=eat, args=(workdir, os.environ["FAULT_HUNGRY"]), daemon=True).start()
