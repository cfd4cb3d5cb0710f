"""What depth costs: compiling, a step, and memory, at depths 1 to 1000 and width 32.

    python -m benchmarks.deep            writes benchmarks/results/deep.{json,md}
    python -m benchmarks.deep --quick    two shallow depths once; writes nothing

Every figure is of a fresh process on one core without any compilation cache; the plain loop has all cores. A process
that has not taken its first steps within ten minutes (--minutes), or that the system ends for want of memory, is not
tried deeper, and the table says which.
"""

import argparse
import json
import signal
import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.machine import Worker, measure, ready
from benchmarks.tables import Spread, Table, screen, show, started, write
from experiments import command
from experiments.executors.devices import cores

COMMAND = "python -m benchmarks.deep"
WIDTH, DEPTHS = 32, (1, 2, 6, 10, 24, 100, 300, 1000)
MEMORY = 4096  # MB in which 1000 layers must train
COMPILING, SLOPE = 1.5, 0.1  # targets: compile time of 1000 layers over 10; departure from a line


@dataclass(frozen=True, eq=False)
class Arm:
    """A way to train deep stacks: other fields of our config, or None for the plain Flax loop."""

    name: str
    fields: dict | None

    def start(self, depth: int) -> Worker:
        """A process that trains at a depth."""
        if self.fields is None:
            return Worker("plain_loop", WIDTH, depth)
        return Worker("lane", WIDTH, depth, cores()[0], json.dumps(self.fields))


SCAN = {"model.unroll": 1}
ARMS = (
    Arm("scan", SCAN),
    Arm("scan, rematerialised", SCAN | {"model.remat": "block"}),
    Arm("scan, rematerialised, DeepNorm", SCAN | {"model.remat": "block", "model.wiring": "deepnorm"}),
    Arm("unrolled", {"model.unroll": 10_000}),
    Arm("plain Flax loop", None),
)


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two shallow depths once; writes nothing")
    parser.add_argument("--rounds", type=int, default=3, help="of the depths that take less than a minute")
    parser.add_argument("--minutes", type=float, default=10.0, help="until the first steps are taken")
    flags, console = parser.parse_args(arguments), screen()
    found = started(COMMAND, arguments, console) | {"minutes": flags.minutes}
    depths, rounds = ((1, 2), 1) if flags.quick else (DEPTHS, flags.rounds)
    found["depths"], ended = {}, {}
    for depth in depths:
        found["depths"][str(depth)] = rows = {arm.name: [] for arm in ARMS}
        for turn in range(rounds):
            for arm in ARMS:
                if turn == 0:
                    rows[arm.name].append(ended.get(arm) or at_depth(arm, depth, flags.minutes))
                elif affordable(rows[arm.name][0]):
                    rows[arm.name].append(at_depth(arm, depth, flags.minutes))
        ended |= {arm: rows[arm.name][0] for arm in ARMS if "ended" in rows[arm.name][0]}
        shown = ", ".join(f"{name} {said(one)}" for name, one in rows.items())
        console.print(f"depth {depth}: {shown}", soft_wrap=True)
        if not flags.quick:
            write("deep", "Depth", found, [*tables(found), targets(found)])
    show("deep", "Depth", found, [*tables(found), targets(found)], console, keep=not flags.quick)


def affordable(first: dict) -> bool:
    """Whether there is time to measure it again."""
    return first.get("compile_seconds", 60) < 60


def at_depth(arm: Arm, depth: int, minutes: float) -> dict:
    """Seconds to compile and of a step, and the largest resident memory in MB; or why it was "ended" before."""
    worker, late = arm.start(depth), threading.Event()
    limit = threading.Timer(60 * minutes, lambda: (late.set(), worker.process.kill()))
    limit.start()
    try:
        ready([worker])
        limit.cancel()
        answer = measure([worker], 3.0, **({} if arm.fields is None else {"steps": 5}))[0]
    except RuntimeError:
        if worker.process.returncode == -signal.SIGKILL:
            return {"ended": f"> {minutes:.0f} min" if late.is_set() else "no memory"}
        raise
    finally:
        limit.cancel()
        worker.stop()
    return {
        "compile_seconds": worker.about["compile_seconds"]["chunk"]
        if arm.fields is not None
        else worker.about["first_step_seconds"],
        "step_seconds": 1 / answer["steps_per_second"],
        "peak_mb": answer["peak_mb"],
    }


def said(rounds: list[dict]) -> str:
    """One arm at one depth, in a few words."""
    if "ended" in rounds[0]:
        return rounds[0]["ended"]
    return "{compile_seconds:.1f} s, {step_seconds:.3f} s a step, {peak_mb:.0f} MB".format(**rounds[0])


def tables(found: dict) -> list[Table]:
    """Compile time, step time and memory by depth, a column for each arm."""
    parts = (
        ("to compile, s", "compile_seconds", ".1f", 1.0),
        ("a step, ms", "step_seconds", ".1f", 1000.0),
        ("peak memory of the process, MB", "peak_mb", ".0f", 1.0),
    )
    names = tuple(arm.name for arm in ARMS)
    return [
        Table(
            f"{title[0].upper()}{title[1:]} (width {WIDTH})",
            ("layers", *names),
            [
                (depth, *(column(rows[name], field, form, factor) for name in names))
                for depth, rows in found["depths"].items()
            ],
        )
        for title, field, form, factor in parts
    ]


def column(rounds: list[dict], field: str, form: str, factor: float) -> str:
    """The median of a figure, or why there is none."""
    if "ended" in rounds[0]:
        return rounds[0]["ended"]
    return format(factor * statistics.median(one[field] for one in rounds), form)


def targets(found: dict) -> Table:
    """What was promised, and what was measured."""
    by_depth = {int(depth): rows["scan"] for depth, rows in found["depths"].items()}
    rows = []
    if {10, 1000} <= {*by_depth}:
        low, high = (Spread(one["compile_seconds"] for one in by_depth[depth]).median for depth in (10, 1000))
        rows.append(("compile time of 1000 layers over 10, scan", f"{high / low:.2f}", f"at most {COMPILING}"))
    deep = [depth for depth in by_depth if depth >= 24]
    if len(deep) > 2:
        steps = [Spread(one["step_seconds"] for one in by_depth[depth]).median for depth in deep]
        per_layer = np.array(steps) / deep
        off = np.abs(per_layer / per_layer[-1] - 1).max()
        rows.append(
            ("seconds of a step per layer from 24 to 1000, scan: largest difference", f"{off:.0%}", f"{SLOPE:.0%}")
        )
    for name in (arm.name for arm in ARMS if arm.name.startswith("scan")):
        if "1000" in found["depths"]:
            most = max(one["peak_mb"] for one in found["depths"]["1000"][name])
            rows.append((f"memory of 1000 layers, {name}", f"{most:,.0f} MB", f"at most {MEMORY:,} MB"))
    return Table("Targets", ("", "measured", "target"), rows)


if __name__ == "__main__":
    command.run(main)
