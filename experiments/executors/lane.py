"""A lane: a process that owns a device, takes programs from its standard input and says what happens on its output.

    python -m experiments.executors.lane WORKDIR {cpu,gpu} INDEX [INDEX ...]     several where cells have a mesh

The launcher has set the variables that show it its own GPUs; to cores it keeps itself.

Reads lines {"cells", "settings", "lease"}, writes lines of events; {"event": "idle"} when it waits for the next
program, {"event": "stop", "reason"} when it cannot write. It ends when its input does, also in the middle of a
program: a lane never outlives its launcher.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from pathlib import Path

import psutil

from experiments.settings import Settings


def main(workdir: str, kind: str, *indices: str) -> None:
    """Serves programs until the input ends."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints goes to the log
    if kind == "cpu":
        pin(*map(int, indices))
    be_the_first_to_go()
    programs: queue.Queue = queue.Queue()
    threading.Thread(target=listen, args=(programs,), daemon=True).start()
    from experiments import compiled, engine

    compiled.cache_compilations()
    try:
        while True:
            print(engine.to_line({"event": "idle"}), file=output)
            task = programs.get()
            for event in engine.run_cells(workdir, task["cells"], Settings(**task["settings"]), task["lease"]):
                print(engine.to_line(event), file=output)
    except engine.Unwritable as problem:
        print(engine.to_line({"event": "stop", "reason": str(problem)}), file=output)


def pin(*cores: int) -> None:
    """Keeps this process on its cores, where the system can, so that lanes do not disturb each other."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        with contextlib.suppress(OSError):  # a container may forbid it, and then the lane runs anywhere
            process.cpu_affinity(cores)


def be_the_first_to_go() -> None:
    """Where memory runs out, Linux ends a lane, which is replaced, rather than its launcher."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def listen(programs: queue.Queue) -> None:
    """Hands every line of the input on; ends the process at once when the input ends."""
    for line in sys.stdin:
        programs.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
