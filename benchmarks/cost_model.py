"""What a config is said to cost, against what it costs: FLOPs of a step and memory by XLA's own count, and time.

    python -m benchmarks.cost_model            writes benchmarks/results/cost_model.{json,md}
    python -m benchmarks.cost_model --quick    two configs; writes nothing

The closed form (flax_tx.cost) counts the matrix products of a step, without JAX; XLA counts every operation of the step
that it has compiled, layers unrolled. Seconds are predicted from the first config's: FLOPs over its rate. Memory
(flax_tx.memory) is that of the chunk of steps without the data set, with layers unrolled, in a loop, and in a loop that
computes blocks again. The time that a launch says remains is noted while it runs, from the first timed chunk on, and
compared with what it then took.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from benchmarks.machine import ROOT
from benchmarks.tables import Spread, Table, screen, show, started
from experiments import command, plan, running, sweep_file
from experiments.executors import local
from experiments.executors.devices import cores
from experiments.executors.lane import pin
from experiments.leases import Leases
from experiments.pace import Pace
from experiments.settings import USUAL
from flax_tx import cost
from flax_tx.config import resolve

COMMAND = "python -m benchmarks.cost_model"
SWEEP = "sweeps/depth_stability.py"
BASE = {"model.unroll": 10_000}
CONFIGS: dict[str, dict] = {
    "the default": {},
    "width 32": {"model.width": 32},
    "width 128": {"model.width": 128},
    "width 256": {"model.width": 256},
    "24 layers": {"model.num_layers": 24},
    "post, RMSNorm": {"model.wiring": "post", "model.norm.kind": "rmsnorm"},
    "hyper-connections": {"model.wiring": "hyper-connections"},
    "swiglu, one head of keys and values": {"model.activation": "swiglu", "model.num_kv_heads": 1},
    "sequences of 256": {"data.seq_len": 256, "train.batch_size": 4},
}
LAYERS = {  # how layers are compiled
    "unrolled": BASE,
    "a loop": {"model.unroll": 1},
    "rematerialised": {"model.unroll": 1, "model.remat": "block"},
}


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two configs; writes nothing")
    flags, console = parser.parse_args(arguments), screen()
    found = started(COMMAND, arguments, console) | {"configs": {}, "memory": {}}
    cut = {"model.num_layers": 4, "model.wiring": "pre"} if flags.quick else {"optim.learning_rate": 1e-3}
    found["estimates"] = estimates(cut)
    pin(cores()[0])
    for name, fields in list(CONFIGS.items())[: 2 if flags.quick else None]:
        found["configs"][name] = of_config(fields)
        console.print(
            f"{name}: " + "{predicted:.3g} FLOP, XLA {xla:.3g}, {seconds:.4f} s".format(**found["configs"][name])
        )
        found["memory"][name] = {how: memory_of(fields | more) for how, more in LAYERS.items()}
    tables = [table(found["configs"]), memories(found["memory"]), said(found["estimates"], found["cores"])]
    show("cost_model", "The cost model", found, tables, console, keep=not flags.quick)


def estimates(fields: dict) -> list[tuple[float, float]]:
    """(seconds since the start, seconds that are said to remain) while the default sweep runs with these fields held,
    from the first estimate on; the last pair is the end."""
    made = plan.make(sweep_file.read(str(ROOT / SWEEP)), fields)
    with tempfile.TemporaryDirectory() as folder, closing(Leases(folder)) as leases:
        running.prepare(made, folder, COMMAND, set())
        pace, begun, found = Pace(made, made.cells), time.monotonic(), []
        for event in local.run(folder, made.programs, USUAL, leases):
            pace.note(event)
            if event["event"] == "progress":
                found.append((time.monotonic() - begun, pace.remaining()))
        return [*found, (time.monotonic() - begun, 0.0)]


def said(pairs: list[tuple[float, float]], lanes: int) -> Table:
    """What was said to remain, and what remained, at the first chunk and at parts of the run."""
    total, rows = pairs[-1][0], []
    for part in (0.0, 0.1, 0.25, 0.5, 0.75):
        passed, remains = next(pair for pair in pairs if pair[0] >= part * total)
        name = f"after {part:.0%} of the run" if part else "after the first timed chunk"
        truth = total - passed
        rows.append((name, f"{passed:.0f}", f"{remains:.0f}", f"{truth:.0f}", f"{remains / truth - 1:+.0%}"))
    header = ("", "seconds passed", "said to remain", "remained", "error")
    return Table(f"The time that remains, of {SWEEP} on {lanes} lanes", header, rows)


def of_config(fields: dict) -> dict[str, float]:
    """FLOPs of a step in both counts, bytes that it moves by XLA's, and its seconds."""
    import jax
    import numpy as np

    from experiments.compiled import compile_program
    from flax_tx import train
    from flax_tx.compilation import COMPILE, known
    from flax_tx.values import values

    config, problems = resolve(BASE | fields)
    if problems:
        raise ValueError("; ".join(problems))
    compiled, numbers = compile_program(config), values(config)
    state = compiled.training.init(numbers)
    step = jax.jit(
        lambda state: train.step(compiled.program, numbers, compiled.arrays, state), compiler_options=known(COMPILE)
    )
    counted = step.lower(state).compile().cost_analysis()
    chunk, steps = compiled.training.chunk, 10

    def run() -> None:
        nonlocal state
        state, _ = chunk(numbers, compiled.arrays, state, np.int32(steps))
        jax.block_until_ready(state)

    run()
    return {
        "predicted": cost.flops_per_step(config, compiled.program.outputs),
        "xla": counted["flops"],
        "bytes": counted.get("bytes accessed", float("nan")),
        "seconds": statistics.median(taken(run) for _ in range(5)) / steps,
    }


def memory_of(fields: dict) -> tuple[int, int]:
    """Bytes that training is said to take, and that XLA asks for, without the data set."""
    from flax_tx import data
    from flax_tx.memory import training_bytes
    from tests.flax_tx.asked import asked

    config, _ = resolve(fields)
    about = data.describe(config.data)
    return training_bytes(config, about.vocab_size, about.vocab_size, about.task), asked(config, about)


def memories(found: dict[str, dict[str, tuple[int, int]]]) -> Table:
    """MB that are predicted, over those that XLA asks for."""
    rows = [
        (name, *(f"{said / 1e6:,.0f} / {asked / 1e6:,.0f} = {said / asked:.2f}" for said, asked in one.values()))
        for name, one in found.items()
    ]
    spread = Spread(said / asked for one in found.values() for said, asked in one.values())
    title = f"Memory of training, MB: predicted / asked for by XLA, {spread.show('.2f')}"
    return Table(title, ("", *LAYERS), rows)


def taken(call: Callable[[], None]) -> float:
    """Seconds of a call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def table(configs: dict[str, dict]) -> Table:
    """Both counts, and the time that the closed form predicts from the first config's."""
    first = next(iter(configs.values()))
    rate = first["predicted"] / first["seconds"]
    rows = [
        (
            name,
            f"{one['predicted'] / 1e9:.3f}",
            f"{one['xla'] / 1e9:.3f}",
            f"{one['xla'] / one['predicted']:.2f}",
            f"{one['bytes'] / 1e9:.2f}",
            f"{1000 * one['seconds']:.1f}",
            f"{one['predicted'] / rate / one['seconds']:.2f}",
        )
        for name, one in configs.items()
    ]
    header = (
        "",
        "predicted, GFLOP",
        "XLA, GFLOP",
        "XLA over predicted",
        "XLA, GB",
        "a step, ms",
        "predicted time over it",
    )
    spread = Spread(one["xla"] / one["predicted"] for one in configs.values())
    return Table(f"A training step; XLA counts {spread.show('.2f')} of what is predicted", header, rows)


if __name__ == "__main__":
    command.run(main)
