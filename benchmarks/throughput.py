"""How fast flax_tx trains, beside what a user would pick instead and the matmul ceiling of the machine.

    python -m benchmarks.throughput            twelve sizes; writes benchmarks/results/throughput.{json,md}
    python -m benchmarks.throughput --quick    one size, one short round, writes nothing
    python -m benchmarks.throughput --sizes=64x6,256x6

All arms of a size are measured in turn, round after round, so that what disturbs the machine disturbs each of them.
"""

import argparse
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from benchmarks.job import sized, tokens_per_step
from benchmarks.machine import Worker, measure, ready
from benchmarks.tables import Spread, Table, screen, show, started, write
from experiments import command
from experiments.executors.devices import cores
from flax_tx.config import Config

COMMAND = "python -m benchmarks.throughput"
SIZES = [(width, depth) for width in (32, 64, 128, 256) for depth in (2, 6, 24)]
SAME_SIZE = 0.02  # how far the parameter counts of two equal models may lie apart


@dataclass(frozen=True)
class Arm:
    """A way to train: a module of this package, its last arguments, the packages it needs, one process per core?"""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    per_core: bool = False

    def there(self) -> bool:
        """Whether this environment has what it needs."""
        return all(importlib.util.find_spec(name.replace("-", "_")) for name in self.packages)

    def start(self, width: int, depth: int) -> list[Worker]:
        """Its processes, one after the other ready, so that none compiles beside another."""
        places = [(core,) for core in cores()] if self.per_core else [()]
        return [ready([Worker(self.module, width, depth, *self.arguments, *place)])[0] for place in places]


TORCH = ("torch", "x-transformers")
OURS = Arm("flax_tx", "lane", per_core=True)
ARMS = (
    Arm("plain Flax loop", "plain_loop"),
    Arm("x-transformers, eager", "torch_loop", ("eager",), TORCH),
    Arm("x-transformers, torch.compile", "torch_loop", ("compiled",), TORCH),
    Arm("Keras 3 on JAX, fit", "keras_loop", packages=("keras",)),
    OURS,
)
TARGETS = {  # of flax_tx over each arm, and of the matmul ceiling, at a size
    (64, 6): {ARMS[0].name: 4.0, ARMS[1].name: 3.0, ARMS[2].name: 2.2},
    (256, 6): {ARMS[0].name: 2.5, ARMS[1].name: 2.0, ARMS[2].name: 1.5, "ceiling": 0.65},
}


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one size, one short round; writes nothing")
    parser.add_argument(
        "--sizes", type=sizes_of, default=SIZES, help="WIDTHxDEPTH, several with commas; default: twelve"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="the window of an arm in a round")
    flags, console = parser.parse_args(arguments), screen()
    if flags.quick:
        flags.sizes, flags.rounds, flags.seconds = [(32, 2)], 1, 2.0
    found = started(COMMAND, arguments, console)
    arms = [arm for arm in ARMS if arm.there()]
    for arm in set(ARMS) - set(arms):
        console.print(
            f"{arm.name}: not measured, it needs {', '.join(arm.packages)}; make bench installs them", style="yellow"
        )
    found["peers"] = {name: importlib.metadata.version(name) for arm in arms for name in arm.packages}
    found["sizes"] = []
    for size in flags.sizes:
        found["sizes"].append(at_size(size, arms, flags.rounds, flags.seconds, console))
        if not flags.quick:
            write("throughput", "Throughput", found, [speeds(found), targets(found)])
    show("throughput", "Throughput", found, [speeds(found), targets(found)], console, keep=not flags.quick)


def sizes_of(text: str) -> list[tuple[int, int]]:
    """64x6,256x6 as pairs of width and depth. Raises: ArgumentTypeError, one line, for what no model has."""
    try:
        sizes = [tuple(map(int, size.split("x"))) for size in text.split(",")]
        for width, depth in sizes:
            sized(width, depth)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected WIDTHxDEPTH, such as 64x6,256x6 ({error})") from None
    return sizes


def at_size(size: tuple[int, int], arms: list[Arm], rounds: int, seconds: float, console: Console) -> dict:
    """Every figure of one size. Raises ValueError where the models are not of one size."""
    width, depth = size
    with ExitStack() as stack:
        workers = {}
        for arm in arms:
            workers[arm.name] = arm.start(width, depth)
            for worker in workers[arm.name]:
                stack.callback(worker.stop)
        multipliers = ready([Worker("machine", core) for core in cores()])
        for worker in multipliers:
            stack.callback(worker.stop)
        params = {name: found[0].about["params"] for name, found in workers.items()}
        if max(params.values()) / min(params.values()) - 1 > SAME_SIZE:
            raise ValueError(f"the models differ in size by more than {SAME_SIZE:.0%}: {params}")
        turns = [one_round(sized(width, depth), workers, multipliers, seconds) for _ in range(rounds)]
    config, ours = sized(width, depth), workers[OURS.name][0].about
    first = {name: found[0].about.get("first_step_seconds") for name, found in workers.items()}
    first[OURS.name] = sum(ours["compile_seconds"].values())
    shown = ", ".join(f"{name} {Spread(turn[name] for turn in turns).median:,.0f}" for name in workers)
    console.print(f"width {width}, depth {depth}: {shown} tokens/s", soft_wrap=True)
    flops = ours["flops_per_step"] / tokens_per_step(config)
    return {
        "width": width,
        "depth": depth,
        "params": params,
        "first_step": first,
        "flops_per_token": flops,
        "rounds": turns,
    }


def one_round(config: Config, workers: dict[str, list[Worker]], multipliers: list[Worker], seconds: float) -> dict:
    """One window for each arm: tokens/s, and FLOP/s of the fastest product."""
    found = {}
    for name, team in workers.items():
        options = {"steps": config.train.chunk_steps} if name == OURS.name else {}
        answers = measure(team, seconds, **options)
        found[name] = tokens_per_step(config) * sum(answer["steps_per_second"] for answer in answers)
    products = [answer["flops_per_second"] for answer in measure(multipliers, seconds)]
    return found | {"ceiling": max(sum(product[shape] for product in products) for shape in products[0])}


def speeds(found: dict) -> Table:
    """Tokens/s of every arm at every size, ours over it, and the share of the ceiling."""
    rows = []
    for one in found["sizes"]:
        for name, count in one["params"].items():
            turns = one["rounds"]
            speed = Spread(turn[name] for turn in turns)
            ratio = Spread(turn[OURS.name] / turn[name] for turn in turns)
            share = Spread(one["flops_per_token"] * turn[name] / turn["ceiling"] for turn in turns)
            rows.append(
                (
                    f"{one['width']} x {one['depth']}  {name}",
                    f"{count:,}",
                    speed.show(",.0f"),
                    ratio.show(".2f"),
                    f"{share.median:.0%}",
                    f"{one['first_step'][name]:.1f}",
                )
            )
    header = ("width x depth", "parameters", "tokens/s", "flax_tx over it", "of ceiling", "to compile, s")
    rounds = len(found["sizes"][0]["rounds"])
    return Table(f"Training on {found['cores']} cores, median of {rounds} (least–most)", header, rows)


def targets(found: dict) -> Table:
    """What was promised, and what was measured."""
    rows = []
    for one in found["sizes"]:
        for name, least in TARGETS.get((one["width"], one["depth"]), {}).items():
            turns, ours = one["rounds"], OURS.name
            if name == "ceiling":
                reached = Spread(one["flops_per_token"] * turn[ours] / turn["ceiling"] for turn in turns)
            elif name in turns[0]:
                reached = Spread(turn[ours] / turn[name] for turn in turns)
            else:
                continue
            met = "met" if reached.median >= least else "not met"
            rows.append((f"{one['width']} x {one['depth']}  flax_tx over {name}", reached.show(".2f"), str(least), met))
    return Table("Targets", ("", "measured", "at least", ""), rows)


if __name__ == "__main__":
    command.run(main)
