"""The default sweep, from typing the command to the table, against the same runs with a peer's loop.

    python -m benchmarks.whole_sweep            writes benchmarks/results/whole_sweep.{json,md}
    python -m benchmarks.whole_sweep --quick    two cells of each; writes nothing

flax_tx runs the whole sweep, without and then with what it compiled before. Of a peer a random sample of the cells is
run and the time scaled up to all of them: a plain Flax loop in a Python process for each run, as many at a time as
there are cores, and a PyTorch loop in one process per core. Peers train Pre-LN stacks of the depth of each cell, and
neither evaluate nor record anything.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.machine import DROPPED, ROOT
from benchmarks.tables import Table, screen, show, started
from benchmarks.throughput import ARMS
from experiments import command, plan, sweep_file
from experiments.executors.devices import cores

COMMAND, SWEEP, TARGET = "python -m benchmarks.whole_sweep", "sweeps/depth_stability.py", 8.0
FIELDS = ("model.width", "model.num_heads", "model.num_layers", "data.seq_len", "train.batch_size", "train.steps")
FIELDS += ("optim.learning_rate", "optim.schedule", "seed.init", "seed.data")


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two cells of each; writes nothing")
    parser.add_argument("--sample", type=int, default=16, help="cells that each peer trains")
    flags, console = parser.parse_args(arguments), screen()
    made = plan.make(sweep_file.read(str(ROOT / SWEEP)), {})
    cells = [fields_of(config) for config in made.cells.values()]
    sample = random.Random(0).sample(cells, 2 if flags.quick else flags.sample)
    found = started(COMMAND, arguments, console) | {"cells": len(cells), "sample": len(sample), "seconds": {}}
    with tempfile.TemporaryDirectory() as folder:
        cut = ["--config.optim.learning_rate=0.001", "--config.model.norm.kind=layernorm"] if flags.quick else []
        cut += ["--config.model.num_layers=4", "--config.model.wiring=pre"] if flags.quick else []
        for name in ("flax_tx", "flax_tx, compiled before"):
            found["seconds"][name] = launch(Path(folder), cut)
            console.print(f"{name}: {found['seconds'][name]:.0f} s")
    for name, train in peers():
        found["seconds"][name] = train(sample) * len(cells) / len(sample)
        console.print(f"{name}: {found['seconds'][name]:.0f} s, from {len(sample)} of {len(cells)} cells")
    show("whole_sweep", "The default sweep", found, [table(found)], console, keep=not flags.quick)


def fields_of(config) -> dict:
    """What a peer needs to know of a cell."""
    found = {}
    for name in FIELDS:
        value = config
        for part in name.split("."):
            value = getattr(value, part)
        found[name] = value
    return found


def environment(**more: str) -> dict[str, str]:
    """Nothing of ours, nothing compiled before."""
    clean = {name: value for name, value in os.environ.items() if name not in DROPPED}
    return clean | {"JAX_PLATFORMS": "cpu"} | more


def launch(folder: Path, cut: list[str]) -> float:
    """Seconds of the whole command in a new workdir; what it compiles stays in the folder."""
    workdir = folder / f"run {len([*folder.glob('run*')])}"
    words = [sys.executable, "-m", "experiments.launch", f"--config={SWEEP}", f"--workdir={workdir}", *cut]
    begun = time.monotonic()
    finish(words, JAX_COMPILATION_CACHE_DIR=str(folder / "xla"))
    return time.monotonic() - begun


def finish(words: list[str], **more: str) -> None:
    """Runs a command to its end. Raises: RuntimeError with the end of what it said."""
    done = subprocess.run(words, cwd=ROOT, env=environment(**more), capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-2000:])


def peers():
    """(name, function from cells to seconds) of every peer that is installed."""
    yield "plain Flax loop, a process per run", lambda cells: timed("plain_loop", [[cell] for cell in cells])
    if ARMS[1].there():
        share = len(cores())
        yield (
            "PyTorch loop, a process per core",
            lambda cells: timed("torch_loop", [cells[core::share] for core in range(share)], cores()),
        )


def timed(module: str, batches: list[list[dict]], pinned: Sequence[int] = ()) -> float:
    """Seconds until all batches are trained, as many at a time as there are cores."""

    def run(number: int) -> None:
        words = [sys.executable, "-m", "benchmarks.one_run", module, json.dumps(batches[number])]
        finish([*words, *map(str, pinned[number : number + 1])], JAX_ENABLE_COMPILATION_CACHE="false")

    begun = time.monotonic()
    with ThreadPoolExecutor(len(cores())) as pool:
        list(pool.map(run, range(len(batches))))
    return time.monotonic() - begun


def table(found: dict) -> Table:
    """Time of the whole sweep, and ours over it."""
    ours = found["seconds"]["flax_tx"]
    rows = [(name, f"{seconds:,.0f}", f"{seconds / ours:.1f}") for name, seconds in found["seconds"].items()]
    rows.append((f"target: {TARGET:.0f} over the plain Flax loop", "", ""))
    return Table(f"{found['cells']} cells on {found['cores']} cores", ("", "seconds", "over flax_tx"), rows)


if __name__ == "__main__":
    command.run(main)
