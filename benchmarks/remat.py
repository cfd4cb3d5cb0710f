"""What rematerialisation saves of memory and costs in time, by depth and policy (model.remat).

    python -m benchmarks.remat            some four minutes a round; writes benchmarks/results/remat.{json,md}
    python -m benchmarks.remat --quick    the smallest depth, one short round; writes nothing

Every cell is measured in processes of its own, on one core, with nothing else running.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmarks.machine import Worker, measure, ready
from benchmarks.tables import Spread, Table, screen, show, started
from experiments import command
from experiments.executors.devices import cores

COMMAND = "python -m benchmarks.remat"
POLICIES = {  # as benchmarks.rematerialised takes them -> as the table says it
    "everything_saveable": "keeps all",
    "none": "none",
    "dots": "dots",
    "block": "block",
}


@dataclass(frozen=True)
class Plan:
    """`seconds` is the window of a cell in one round, `length` the tokens of a sequence."""

    depths: tuple[int, ...] = (6, 24, 96)
    rounds: int = 3
    seconds: float = 6.0
    length: int = 128


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round of one depth; writes nothing")
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    flags = parser.parse_args(arguments)
    plan = Plan((6,), 1, 1.0, 32) if flags.quick else Plan(rounds=flags.rounds)
    console = screen()
    found = started(COMMAND, arguments, console)
    found |= {"length": plan.length, "depths": {str(depth): at_depth(depth, plan, console) for depth in plan.depths}}
    show("remat", "Rematerialisation", found, [costs(found)], console, keep=not flags.quick)


def at_depth(depth: int, plan: Plan, console: Console) -> dict:
    """Parameters, and for each policy what every round gave."""
    found: dict = {policy: [] for policy in POLICIES}
    for number in range(plan.rounds):
        for policy in POLICIES:
            worker = Worker("rematerialised", depth, policy, plan.length, cores()[0])
            try:
                ready([worker])
                found[policy] += measure([worker], plan.seconds)
            finally:
                worker.stop()
        console.print(f"{depth} layers, round {number + 1} of {plan.rounds}")
    return {"params": worker.about["params"], "policies": found}


def costs(found: dict) -> Table:
    """Memory and time of every policy at every depth."""
    rows = []
    for depth, one in found["depths"].items():
        usual = Spread(answer["seconds_per_step"] for answer in one["policies"]["none"]).median
        for policy, answers in one["policies"].items():
            seconds = Spread(answer["seconds_per_step"] for answer in answers)
            memory = [f"{max(answer[name] for answer in answers) / 1e6:,.0f}" for name in ("temporary", "peak")]
            times = (seconds.show(",.0f", 1000), f"{seconds.median / usual:.2f}")
            rows.append((f"{depth}, {POLICIES[policy]}", *memory, *times))
    header = ("layers, policy", "temporary, MB", "peak, MB", "step, ms", "× none")
    return Table(f"Sequences of {found['length']} tokens, one core, median of the rounds", header, rows)


if __name__ == "__main__":
    command.run(main)
