"""What more devices bring: lanes, nodes of Ray, the overhead of a program, and a model of a cluster of 1,000 devices.

    python -m benchmarks.scaling            some seven minutes a round; writes benchmarks/results/scaling.{json,md}
    python -m benchmarks.scaling --quick    everything once and small; writes nothing

Needs the environment of `make cluster-test`, and for the nodes leave to make network namespaces. Each launch has a
workdir of its own, and what it compiles has been compiled before.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import calibration
from benchmarks.cluster_model import Cluster as Model
from benchmarks.cluster_model import Costs, limits
from benchmarks.machine import ROOT, Worker, measure, ready
from benchmarks.tables import Spread, Table, screen, show, started
from cluster.machines import Cluster
from experiments import command, launches
from experiments.executors.devices import cores

COMMAND, TARGET = "python -m benchmarks.scaling", 0.9
SWEEP = '''"""How does a sweep scale with devices?"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.train.steps = {steps}
    c.train.eval_windows = 16
    return c


def get_hyper(hyper):
    widths = [8 * size for size in {sizes}]
    return hyper.product([hyper.sweep("model.mlp_dim", widths), hyper.sweep("seed.init", range({seeds}))])


def get_table():
    return Table(rows=("model.mlp_dim",), seeds=("seed.init",), baseline={{"model.mlp_dim": 8 * {sizes}[0]}})
'''
CELLS, DEVICES, PER_PROGRAM = 10_000, (10, 100, 1_000), (10, 1)  # of the modelled sweep
SECONDS = (60.0, 600.0)  # that a modelled cell trains


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once and small; writes nothing")
    parser.add_argument("--rounds", type=int, default=3)
    flags, console = parser.parse_args(arguments), screen()
    found = started(COMMAND, arguments, console)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        long = sweep(here / "long.py", steps=20 if flags.quick else 400, sizes=[32, 33], seeds=2)
        tiny = sweep(here / "tiny.py", steps=1, sizes=[*range(1, calibration.PROGRAMS + 1)], seeds=1)
        found["launches"] = rounds(Bench(here), long, tiny, 1 if flags.quick else flags.rounds, console)
    costs = calibrated(found["launches"], console)
    found["costs"] = vars(costs)
    found["modelled"] = modelled(costs, 10 if flags.quick else 1)
    show(
        "scaling", "Scaling", found, [measured(found), model_table(found), limit_table(costs)], console, not flags.quick
    )


def sweep(path: Path, **numbers: object) -> Path:
    """A sweep file: a program for each size, with a cell for each seed."""
    path.write_text(SWEEP.format(**numbers))
    return path


class Bench:
    """Where launches are made: on this machine, and on nodes of Ray."""

    def __init__(self, folder: Path):
        self.folder, self.cluster = folder, Cluster(folder / "xla")

    def here(self, config: Path, *more: str) -> float:
        """Seconds that a launch on this machine ran programs."""
        workdir = self.workdir()
        words = [sys.executable, "-m", "experiments.launch", f"--config={config}", f"--workdir={workdir}", *more]
        subprocess.run(words, cwd=ROOT, env=self.cluster.environment, check=True, capture_output=True)
        return launches.load(workdir)[-1]["seconds"]

    def nodes(self, config: Path, *more: str) -> float:
        """The same on the nodes that are up."""
        workdir = self.workdir()
        process = self.cluster.launch(f"--config={config}", f"--workdir={workdir}", *more)
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(errors[-2000:])
        return launches.load(workdir)[-1]["seconds"]

    def workdir(self) -> Path:
        """One that is new."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def rounds(bench: Bench, long: Path, tiny: Path, number: int, console: Console) -> dict[str, list[float]]:
    """Seconds of every launch, in turns."""
    calls: dict[str, Callable[[], float]] = {
        "1 lane": lambda: bench.here(long, "--lanes=1"),
        "2 lanes": lambda: bench.here(long, "--lanes=2"),
        "1 node": lambda: bench.nodes(long, "--lanes=1"),
        "2 nodes": lambda: bench.nodes(long, "--lanes=2"),
        "tiny, 1 lane": lambda: bench.here(tiny, "--lanes=1"),
        "tiny, 1 node": lambda: bench.nodes(tiny, "--lanes=1"),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    try:
        bench.cluster.up()
        for name in ("2 lanes", "tiny, 1 lane"):
            calls[name]()  # compiles
        for turn in range(number):
            for name, call in calls.items():
                found[name].append(call())
            console.print(f"round {turn + 1}: " + ", ".join(f"{name} {one[-1]:.1f} s" for name, one in found.items()))
    finally:
        bench.cluster.remove()
    return found


def calibrated(seconds: dict[str, list[float]], console: Console) -> Costs:
    """What the parts of a sweep cost on this machine."""
    console.print("Calibrating")
    parts = calibration.measure()
    lane = Worker("lane", 64, 6, cores()[0])
    try:
        saved = measure(ready([lane]), 3.0, save=True)[0]["saves_per_second"]
    finally:
        lane.stop()
    starts = statistics.median(seconds["tiny, 1 node"]) / calibration.PROGRAMS
    chunks = 6
    return Costs(
        plan_cell=parts["plan_cell"],
        write_config=parts["write_config"],
        submit=parts["submit"],
        event=parts["event"],
        start=starts,
        train=SECONDS[0],
        chunks=chunks,
        result=parts["result"],
        checkpoint=1 / saved,
    )


def modelled(costs: Costs, less: int) -> list[dict]:
    """The model's sweep on more and more devices, and what each run showed."""
    found = []
    for train, devices, size in itertools.product(SECONDS, DEVICES, PER_PROGRAM):
        seen = Model(replace(costs, train=train), CELLS // less, size, devices).run()
        about = {"train": train, "devices": devices, "cells_per_program": size, "efficiency": seen.efficiency}
        found.append(about | vars(seen))
    return found


def measured(found: dict) -> Table:
    """Twice the devices over once, and what a program costs beyond its training."""
    launched = found["launches"]
    rows = []
    for one, two in (("1 lane", "2 lanes"), ("1 node", "2 nodes")):
        share = Spread(a / (2 * b) for a, b in zip(launched[one], launched[two], strict=True))
        met = "met" if share.median >= TARGET else "not met"
        times = f"{statistics.median(launched[one]):.1f}", f"{statistics.median(launched[two]):.1f}"
        rows.append((f"{one}, {two}", *times, share.show(".2f"), f"at least {TARGET}: {met}"))
    for where in ("1 lane", "1 node"):
        per = Spread(seconds / calibration.PROGRAMS for seconds in launched[f"tiny, {where}"])
        rows.append((f"a program of one cell of one step, compiled before, {where}", "", "", per.show(".2f"), "s each"))
    return Table("Measured", ("", "once, s", "twice, s", "efficiency, or s", ""), rows)


def model_table(found: dict) -> Table:
    """The modelled sweep."""
    rows = [
        (
            f"{one['devices']:,} devices, {one['cells_per_program']} cells of {one['train']:.0f} s a program",
            f"{one['seconds'] / 3600:.2f}",
            f"{one['efficiency']:.0%}",
            f"{one['planning']:.0f}",
            f"{one['launcher']:.1%}",
            f"{one['files']:.1%}",
            f"{one['preemptions']:,}",
            f"{one['repeated'] / one['train'] / CELLS:.1%}",
        )
        for one in found["modelled"]
    ]
    header = ("", "hours", "efficiency", "planning, s", "launcher busy", "files busy", "preempted", "trained twice")
    return Table(f"Modelled: {CELLS:,} cells, devices taken away now and then", header, rows)


def limit_table(costs: Costs) -> Table:
    """How many devices each part can serve."""
    rows = []
    for train in SECONDS:
        found = limits(replace(costs, train=train), PER_PROGRAM[0])
        first = min(found, key=found.get)
        rows.append((f"cells of {train:.0f} s", *(f"{devices:,.0f}" for devices in found.values()), first))
    return Table("Devices that each part can serve, by the same costs", ("", *found, "ends first"), rows)


if __name__ == "__main__":
    command.run(main)
