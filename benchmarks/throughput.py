"""How fast flax_tx trains, beside the plain loop of most Flax examples and the matmul ceiling of the machine.

    python -m benchmarks.throughput            about five minutes; writes benchmarks/results/throughput.{json,md}
    python -m benchmarks.throughput --quick    one short round that shows that all of it runs; writes nothing

All arms are measured in turn, round after round, so that what disturbs the machine disturbs each of them.
"""

import argparse
import statistics
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.machine import ROOT, Worker, measure, ready
from experiments import command, provenance, records
from experiments.executors.local import cores
from flax_tx.config import resolve, to_dict

RESULTS = ROOT / "benchmarks" / "results"
COMMAND = "python -m benchmarks.throughput"
DEPTHS = (10, 200)
COMPILE_TARGET = 2.0  # compile time at the second depth over that at the first
DIAGNOSTICS_TARGET = 0.05  # share of a default run
SAME_SIZE = 0.02  # how far the parameter counts of two equal models may lie apart


@dataclass(frozen=True)
class Plan:
    """`seconds` is the window of an arm in one round, `depths` how often each depth is compiled."""

    rounds: int = 5
    seconds: float = 6.0
    depths: int = 3


@dataclass(frozen=True)
class Table:
    """A table, for the terminal and for Markdown: the first column is text, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
        table.collapse_padding, table.pad_edge = True, False
        for index, name in enumerate(self.header):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        rule = ("---", *["---:"] * (len(self.header) - 1))
        lines = [f"| {' | '.join(cells)} |" for cells in (self.header, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines])


class Spread:
    """Median, least and largest of a figure over rounds."""

    def __init__(self, numbers: Iterable[float]):
        numbers = list(numbers)
        self.median, self.low, self.high = statistics.median(numbers), min(numbers), max(numbers)

    def show(self, form: str, factor: float = 1.0) -> str:
        median, low, high = (format(factor * number, form) for number in (self.median, self.low, self.high))
        return f"{median} ({low}–{high})"


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    quick = parser.parse_args(arguments).quick
    console, busy = Console(highlight=False), psutil.getloadavg()[0]
    if busy > 0.2 * len(cores()):
        console.print(f"The machine is busy (load {busy:.1f}): ratios mean something, speeds do not.", style="yellow")
    found = {"command": COMMAND, "provenance": provenance.collect(), "load": busy, "cores": len(cores())}
    found |= run(Plan(1, 2.0, 1) if quick else Plan(), console)
    tables = [speeds(found), depths(found), targets(found)]
    for table in tables:
        console.print(table.rich())
    if not quick:
        records.write_json(RESULTS / "throughput.json", found)
        records.write_text(RESULTS / "throughput.md", page(found, tables))
        console.print(f"Written: {(RESULTS / 'throughput.json').relative_to(ROOT)} and throughput.md beside it.")


def run(plan: Plan, console: Console) -> dict:
    """Every figure, per round."""
    config, _ = resolve({})
    with ExitStack() as stack:

        def start(module: str, *arguments: object) -> Worker:
            worker = Worker(module, *arguments)
            stack.callback(worker.stop)
            return worker

        console.print(f"Compiling the plain loop, and flax_tx for {len(cores())} lanes")
        plain = ready([start("plain_loop")])
        lanes = ready([start("depth", config.model.num_layers, core) for core in cores()])
        multipliers = ready([start("machine", core) for core in cores()])
        params = {"plain": plain[0].about["params"], "flax_tx": lanes[0].about["params"]}
        console.print("Parameters: {plain:,} in the plain loop, {flax_tx:,} in flax_tx".format(**params))
        if abs(params["flax_tx"] / params["plain"] - 1) > SAME_SIZE:
            raise ValueError(f"the models differ in size by more than {SAME_SIZE:.0%}: {params}")
        rounds = []
        for number in range(plan.rounds):
            rounds.append(one_round(plan, config, plain, lanes, multipliers))
            shown = "plain loop {plain:,.0f}, flax_tx {lanes:,.0f} tokens/s".format(**rounds[-1])
            console.print(f"Round {number + 1} of {plan.rounds}: {shown}")
    flops = lanes[0].about["flops_per_step"] / tokens_per_step(config)
    deep = [{depth: at_depth(depth, plan) for depth in DEPTHS} for _ in range(plan.depths)]
    by_depth = {str(depth): [one[depth] for one in deep] for depth in DEPTHS}
    return {"config": to_dict(config), "params": params, "flops_per_token": flops, "rounds": rounds, "depths": by_depth}


def tokens_per_step(config) -> int:
    """Tokens in a batch."""
    return config.train.batch_size * config.data.seq_len


def one_round(plan: Plan, config, plain: list[Worker], lanes: list[Worker], multipliers: list[Worker]) -> dict:
    """One window for each arm: tokens/s, the share of diagnostics, and FLOP/s of the fastest product."""
    steps = config.train.chunk_steps
    windows = {
        "plain": measure(plain, plan.seconds),
        "lanes": measure(lanes, plan.seconds, steps=steps),
        "diagnosed": measure(lanes, plan.seconds, steps=steps, diagnose=True),
    }
    products = [answer["flops_per_second"] for answer in measure(multipliers, plan.seconds / 2)]
    speeds = {
        arm: tokens_per_step(config) * sum(answer["steps_per_second"] for answer in answers)
        for arm, answers in windows.items()
    }
    share = statistics.mean(answer["diagnose_share"] for answer in windows["diagnosed"])
    ceiling = {shape: sum(product[shape] for product in products) for shape in products[0]}
    return speeds | {"diagnose_share": share, "ceiling": max(ceiling.values()), "products": ceiling}


def at_depth(depth: int, plan: Plan) -> dict:
    """Compile seconds of a fresh process, and seconds per step and layer, on one core with nothing else running."""
    worker = Worker("depth", depth, cores()[0])
    try:
        ready([worker])
        answer = measure([worker], plan.seconds / 2, steps=1)[0]
    finally:
        worker.stop()
    per_layer = 1 / answer["steps_per_second"] / depth
    return {"compile_seconds": worker.about["compile_seconds"], "seconds_per_step_and_layer": per_layer}


def speeds(found: dict) -> Table:
    """Tokens/s of every arm, beside the plain loop and the ceiling."""
    rounds, flops = found["rounds"], found["flops_per_token"]
    names = {"plain": "plain Flax loop", "lanes": "flax_tx", "diagnosed": "flax_tx, diagnosed"}
    rows = []
    for arm, name in names.items():
        speed = Spread(one[arm] for one in rounds)
        ratio = Spread(one[arm] / one["plain"] for one in rounds)
        share = Spread(flops * one[arm] / one["ceiling"] for one in rounds)
        numbers = (f"{speed.median:,.0f}", f"{speed.low:,.0f}", f"{speed.high:,.0f}", f"{ratio.median:.2f}")
        rows.append((name, *numbers, f"{flops * speed.median / 1e9:.0f}", f"{share.median:.0%}"))
    ceiling = Spread(one["ceiling"] for one in rounds).median
    rows.append(("matmul ceiling", "", "", "", "", f"{ceiling / 1e9:.0f}", "100%"))
    header = ("", "tokens/s", "min", "max", "× plain", "GFLOP/s", "of ceiling")
    return Table(f"Training speed on {found['cores']} cores, median of {len(rounds)}", header, rows)


def depths(found: dict) -> Table:
    """What depth costs: compiling, and a layer of a step."""
    rows = []
    for depth, runs in found["depths"].items():
        chunk = Spread(one["compile_seconds"]["chunk"] for one in runs)
        program = Spread(sum(one["compile_seconds"].values()) for one in runs)
        layer = Spread(one["seconds_per_step_and_layer"] for one in runs)
        rows.append((depth, chunk.show(".1f"), program.show(".1f"), layer.show(".2f", 1000)))
    header = ("layers", "train function, s", "whole program, s", "step per layer, ms")
    return Table(f"Compiling and training on one core, median of {len(runs)}", header, rows)


def targets(found: dict) -> Table:
    """What was promised, and what was measured."""
    pairs = zip(*found["depths"].values(), strict=True)
    ratio = Spread(deep["compile_seconds"]["chunk"] / shallow["compile_seconds"]["chunk"] for shallow, deep in pairs)
    share = Spread(one["diagnose_share"] for one in found["rounds"])
    shallow, deep = found["depths"]
    rows = [
        (f"compile time at depth {deep} over depth {shallow}", ratio.show(".2f"), f"at most {COMPILE_TARGET:.0f}"),
        ("diagnostics, share of a default run", share.show(".1%"), f"at most {DIAGNOSTICS_TARGET:.0%}"),
    ]
    return Table("Targets", ("", "measured", "target"), rows)


def page(found: dict, tables: list[Table]) -> str:
    """The results as Markdown."""
    return document(
        "Throughput", found, tables, "{plain:,} (plain loop), {flax_tx:,} (flax_tx)".format(**found["params"])
    )


def document(title: str, found: dict, tables: list[Table], params: str) -> str:
    """A page of tables, and what they were made with."""
    source = found["provenance"]
    changes = " with uncommitted changes" if source["git"].get("dirty") else ""
    versions = ", ".join(f"{name} {version}" for name, version in source["versions"].items())
    facts = {
        "command": f"`{found['command']}`",
        "date": source["created"],
        "commit": source["git"].get("commit", "unknown") + changes,
        "machine": f"{source['cpu']}, {found['cores']} cores, {source['memory_gb']} GB",
        "load at the start": f"{found['load']:.1f}",
        "versions": f"Python {source['python']}, {versions}",
        "parameters": params,
    }
    parts = [f"# {title}", "\n".join(f"- {name}: {fact}" for name, fact in facts.items())]
    return "\n\n".join([*parts, *(table.markdown() for table in tables)]) + "\n"


if __name__ == "__main__":
    command.run(main)
