"""Where the time of a training step goes: every operation of XLA that a trace saw, by the part of the model it is of.

    python -m benchmarks.anatomy            three sizes; writes benchmarks/results/anatomy.{json,md}
    python -m benchmarks.anatomy --quick    one small size; writes nothing

One cell on one core. The trace names operations of the compiled program, and the program says of which line of the
model each of them is; a fusion is of the line of its result, so neighbours lend each other some microseconds.
"""

import argparse
import collections
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.lane import Cell
from benchmarks.tables import Table, screen, show, started
from experiments import command
from experiments.executors.devices import cores
from experiments.executors.lane import pin

COMMAND = "python -m benchmarks.anatomy"
SIZES, STEPS = ((64, 6), (256, 6), (64, 24)), 10
PARTS = {  # the first pattern that the operation's place in the model matches
    "feed-forward: products": r"/ffn.*dot_general",
    "feed-forward: activation": r"/ffn_\d+(/|$)(?!.*norm)",
    "attention: projections": r"/attention\.(project|join)",
    "attention: products and softmax": r"/attention/.*(dot_general|reduce|exp|div|select_n|sub)",
    "attention: heads first, and back": r"/attention(/|\.normalise)",
    "norms": r"norm",
    "adding to the stream": r"_add",
    "head and loss": r"/head|jvp\(\)|log|loss",
    "embedding and batch": r"embed|gather|random|threefry",
    "stacking of layers": r"stack",
}
REST = "optimiser, and the rest"
INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?(?P<name>[\w.\-]+) = .*? (?P<kind>[a-z][\w\-]*)\(")
CONTAINERS = ("while", "call", "conditional")


def main(arguments: Sequence[str]) -> None:
    """Traces, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small size; writes nothing")
    flags, console = parser.parse_args(arguments), screen()
    found = started(COMMAND, arguments, console) | {"sizes": {}}
    pin(cores()[0])
    for width, depth in ((32, 2),) if flags.quick else SIZES:
        found["sizes"][f"{width} x {depth}"] = step(Cell(width, depth, 0, {}))
    tables = [table(size, parts) for size, parts in found["sizes"].items()]
    show("anatomy", "Where the time of a step goes", found, tables, console, keep=not flags.quick)


def step(cell: Cell) -> dict[str, list[float]]:
    """Part of the model -> seconds of a step, [forward, backward]."""
    places = dict(instructions(cell.compiled.training.chunk.as_text()))
    cell.train(STEPS)
    found: dict = collections.defaultdict(lambda: [0.0, 0.0])
    for name, seconds in operations(cell):
        kind, place = places.get(name, ("", ""))
        if kind not in CONTAINERS:
            found[part(place)]["transpose(jvp" in place] += seconds / STEPS
    return dict(found)


def instructions(program: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (kind, place in the model)) of every instruction of a compiled program."""
    for line in program.splitlines():
        if match := INSTRUCTION.match(line):
            place = re.search(r'op_name="([^"]*)"', line)
            yield match["name"], (match["kind"], place[1] if place else "")


def operations(cell: Cell) -> Iterator[tuple[str, float]]:
    """(instruction, seconds) of everything that ran in a chunk."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            cell.train(STEPS)
        (trace,) = Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
            for line in plane.lines:
                for event in line.events:
                    if name := dict(event.stats).get("hlo_op"):
                        yield name, event.duration_ns / 1e9


def part(place: str) -> str:
    """The part of the model to which an instruction belongs."""
    return next((name for name, pattern in PARTS.items() if re.search(pattern, place)), REST)


def table(size: str, parts: dict[str, list[float]]) -> Table:
    """Milliseconds and shares, the largest first."""
    total = sum(map(sum, parts.values()))
    rows = [
        (name, f"{1e3 * there:.2f}", f"{1e3 * back:.2f}", f"{(there + back) / total:.1%}")
        for name, (there, back) in sorted(parts.items(), key=lambda item: -sum(item[1]))
    ]
    rows.append(("together", *(f"{1e3 * sum(both):.2f}" for both in zip(*parts.values(), strict=True)), "100.0%"))
    return Table(f"Width x depth {size}", ("", "forward, ms", "backward, ms", "share"), rows)


if __name__ == "__main__":
    command.run(main)
