"""A lane: a process that owns one core, takes programs from its standard input and says what happens on its output.

    python -m experiments.executors.lane WORKDIR CORE

Reads lines {"program", "cells"}, writes lines of events; {"event": "idle"} when it waits for the next program.
It ends when its input does, also in the middle of a program: a lane never outlives its launcher.
"""

import contextlib
import json
import os
import queue
import sys
import threading

import psutil


def main(workdir: str, core: int) -> None:
    """Serves programs until the input ends."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints goes to the log
    pin(core)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # a lane owns a core; several of them must not share one GPU
    programs: queue.Queue = queue.Queue()
    threading.Thread(target=listen, args=(programs,), daemon=True).start()
    from experiments import compiled, engine

    compiled.cache_compilations()
    while True:
        print(engine.to_line({"event": "idle"}), file=output)
        for event in engine.run_cells(workdir, programs.get()["cells"]):
            print(engine.to_line(event), file=output)


def pin(core: int) -> None:
    """Keeps this process on one core, where the system can, so that lanes do not disturb each other."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        with contextlib.suppress(OSError):  # a container may forbid it, and then the lane runs anywhere
            process.cpu_affinity([core])


def listen(programs: queue.Queue) -> None:
    """Hands every line of the input on; ends the process at once when the input ends."""
    for line in sys.stdin:
        programs.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
