"""How fast cells train together on one GPU: tokens/s by their number, beside one cell and the peak of matrix products.

    python -m benchmarks.gpu                 at most eight minutes; writes benchmarks/results/gpu-<device>.{json,md}
    python -m benchmarks.gpu --device=cpu    the same of small models, to see that it runs: it says nothing of a GPU

Without a GPU it runs as with --device=cpu, and says so. A row that the memory does not hold, or for which no time is
left, says that.
"""

import argparse
import functools
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.job import tokens_per_step
from benchmarks.machine import rate, repeat
from benchmarks.tables import RESULTS, Table, screen
from experiments import command, provenance, records
from experiments.executors import devices
from flax_tx.errors import UserError

NO_GPU = (
    "This is a CPU and no GPU: small models, to show that the benchmark runs. No speed here says anything of a GPU."
)


@dataclass(frozen=True)
class Plan:
    """Models by name, numbers of cells, sides of square matrices, seconds of a measurement and of all of them."""

    models: dict[str, dict]
    sizes: tuple[int, ...]
    sides: tuple[int, ...]
    seconds: float = 2.0
    budget: float = 440.0


PLANS = {
    "gpu": Plan({"width 64": {}, "width 256": {"model.width": 256}}, (1, 8, 64, 256), (4096, 8192)),
    "cpu": Plan({"width 16, depth 2": {"model.width": 16, "model.num_layers": 2}}, (1, 2, 4), (512, 1024), 1.0, 400.0),
}
DTYPES = ("float32", "bfloat16")


def main(arguments: Sequence[str]) -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help=f"one of {', '.join(devices.KINDS)}")
    asked = parser.parse_args(arguments).device
    if wrong := [*devices.problems(asked)]:
        raise UserError(wrong)
    device, console = devices.own(asked, 1)[0], screen()
    os.environ.update(device.environment)
    import jax

    from flax_tx.compilation import exact_products

    kind = "cpu" if jax.default_backend() == "cpu" else "gpu"
    found = {
        "command": f"python -m benchmarks.gpu --device={asked}",
        "device": jax.devices()[0].device_kind,
        "kind": kind,
        "precision": exact_products(),
        "provenance": provenance.collect(),
        "load": os.getloadavg()[0],
        "peaks": {dtype: peak(dtype, PLANS[kind]) for dtype in DTYPES},
        "rows": [],
    }
    for row in measure(PLANS[kind]):
        found["rows"].append(row)
        console.print(
            "{model}, {dtype}, {size} cells: ".format(**row) + (row["problem"] or f"{row['rate']:,.0f} tokens/s")
        )
    name = f"gpu-{re.sub(r'[^a-z0-9]+', '-', found['device'].lower()).strip('-')}"
    console.print(table(found).rich())
    records.write_json(RESULTS / f"{name}.json", found)
    records.write_text(RESULTS / f"{name}.md", page(found))
    console.print(f"Written: benchmarks/results/{name}.json and {name}.md")


def peak(dtype: str, plan: Plan) -> float:
    """FLOP/s of the fastest square product, at the precision of training and with its options."""
    import jax

    from flax_tx.compilation import COMPILE, known

    def one(side: int) -> float:
        left, right = (jax.random.normal(jax.random.key(i), (side, side), dtype) for i in (0, 1))
        product = jax.jit(lambda a, b: a @ b, compiler_options=known(COMPILE)).lower(left, right).compile()
        product(left, right).block_until_ready()
        return rate(2 * side**3, timed(lambda: product(left, right).block_until_ready(), plan.seconds))

    return max(map(one, plan.sides))


def timed(call: Callable[[], object], seconds: float) -> list[float]:
    """The seconds of every call in a window that begins now."""
    start = time.monotonic()
    return repeat(call, start, start + seconds)


def measure(plan: Plan) -> Iterator[dict]:
    """A row for each model, precision and number of cells."""
    begun = time.monotonic()
    for model, changes in plan.models.items():
        for dtype in DTYPES:
            for size in plan.sizes:
                row = {"model": model, "dtype": dtype, "size": size, "problem": None}
                if time.monotonic() - begun > plan.budget:
                    yield row | {"problem": "no time left"}
                    continue
                try:
                    yield row | train({**changes, "model.dtype": dtype}, size, plan.seconds)
                except Exception as error:
                    if "RESOURCE_EXHAUSTED" not in str(error):
                        raise
                    yield row | {"problem": "out of memory"}


def train(changes: dict, size: int, seconds: float) -> dict:
    """Tokens/s of that many cells together, through the function that is compiled for a sweep."""
    import jax
    import numpy as np

    from experiments import compiled, fitting
    from experiments.group import copies
    from flax_tx import cost, data, train
    from flax_tx.compilation import COMPILE
    from flax_tx.config import resolve, structure
    from flax_tx.values import values

    config, _ = resolve(changes)
    about, numbers, arrays = data.describe(config.data), values(config), jax.device_put(data.load(config.data))
    program = train.Program(structure(config), about.task, about.vocab_size, about.vocab_size)
    state = jax.jit(functools.partial(train.init, program))(numbers)
    steps = np.int32(config.train.chunk_steps)
    if size > 1:
        numbers = jax.tree.map(lambda a: np.stack([a] * size), numbers)
        state = copies(state, size)
        steps = np.full(size, steps)
    begun = time.monotonic()
    chunk = compiled.compiled(train.chunk, program, COMPILE, size, donate_argnums=2)
    chunk = chunk.lower(numbers, arrays, state, steps).compile()
    compiling = time.monotonic() - begun

    def call() -> None:
        nonlocal state
        state, _ = chunk(numbers, arrays, state, steps)
        state.step.block_until_ready()

    call()
    tokens = size * config.train.chunk_steps * tokens_per_step(config)
    speed = rate(tokens, timed(call, seconds))
    flops = cost.flops_per_step(config, program.outputs) / tokens_per_step(config)
    return {"rate": speed, "flops": flops * speed, "compile_seconds": compiling, "bytes": fitting.needed(chunk)}


def table(found: dict) -> Table:
    """Every row beside the one of a cell alone, and beside the peak of its precision."""
    alone = {(row["model"], row["dtype"]): row.get("rate") for row in found["rows"] if row["size"] == 1}
    rows = []
    for row in found["rows"]:
        name = f"{row['model']}, {row['dtype']}"
        if row["problem"]:
            rows.append((name, str(row["size"]), row["problem"], "", "", "", "", ""))
            continue
        one, top = alone[row["model"], row["dtype"]], found["peaks"][row["dtype"]]
        ratio = f"{row['rate'] / one:.2f}" if one else ""
        speed = (f"{row['rate']:,.0f}", ratio, f"{row['flops'] / 1e9:,.0f}", f"{row['flops'] / top:.1%}")
        rows.append((name, str(row["size"]), *speed, f"{row['bytes'] / 2**20:,.0f}", f"{row['compile_seconds']:.1f}"))
    header = ("", "cells", "tokens/s", "× one", "GFLOP/s", "of peak", "MiB", "compiling, s")
    return Table(f"Cells that train together on one {found['device']}", header, rows)


def page(found: dict) -> str:
    """The results as Markdown."""
    source = found["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in source["versions"].items())
    peaks = ", ".join(f"{peak / 1e9:,.0f} GFLOP/s ({dtype})" for dtype, peak in found["peaks"].items())
    facts = {
        "command": f"`{found['command']}`",
        "date": source["created"],
        "commit": source["git"].get("commit", "unknown")
        + " with uncommitted changes" * bool(source["git"].get("dirty")),
        "device": found["device"],
        "machine": f"{source['cpu']}, {source['cores']} cores, {source['memory_gb']} GB",
        "load at the start": f"{found['load']:.1f}",
        "versions": f"Python {source['python']}, {versions}",
        "float32 products": f"made in {found['precision']}",
        "peak of square products": peaks,
    }
    warning = [f"**{NO_GPU}**"] if found["kind"] == "cpu" else []
    listed = "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
    title = "Cells that train together" + " (on a CPU)" * bool(warning)
    return "\n\n".join([f"# {title}", *warning, listed, table(found).markdown()]) + "\n"


if __name__ == "__main__":
    command.run(main)
