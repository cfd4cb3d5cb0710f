"""run_program: trains the cells of one program and writes their records. The only module here that imports JAX.

The unit of work is idempotent: a cell that has a result is left alone. A program is compiled once; on CPU its cells
run one after the other through the same compiled code, so that a cell's numbers cannot depend on its neighbours.
"""

import datetime
import functools
import json
import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import provenance, records
from flax_tx import cost, data, train
from flax_tx.config import Config, freeze, split
from flax_tx.data import Description, batches
from flax_tx.values import values

# On CPU one core computes one cell, so that its numbers do not depend on how many cores there are.
# Optimisation level 1 compiles faster than 3 and the code is as fast: the time is in matrix products.
COMPILE = {"xla_cpu_multi_thread_eigen": False, "xla_backend_optimization_level": 1}
# What runs rarely is better compiled quickly than well.
COMPILE_QUICKLY = COMPILE | {"xla_cpu_use_fusion_emitters": False}
STUCK = 0.03  # a cell that made less of the progress from H1 to the reference than this never left the unigrams

Event = dict[str, Any]


def cache_compilations() -> None:
    """Keeps every compiled program on disk, whatever its size and its time."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or Path("~/.cache/flax_tx/xla").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@dataclass(frozen=True)
class Compiled:
    """The functions of a program, ready to be called with any of its cells, and what they took to compile."""

    program: train.Program
    about: Description
    arrays: dict
    held_out: dict  # split -> (arrays of whole batches, how many sequences are real)
    init: Any
    chunk: Any
    diagnose: Any
    evaluate: Any
    commit: str | None  # of the code that trains
    seconds: float


def run_program(workdir: str, program_id: str) -> Iterator[Event]:
    """Trains what is missing of a program, writes every cell's records as it ends, and says what happens as events.

    {"event": "compiled", "seconds"}, {"event": "progress", "cell", "step", "steps", "tokens"},
    {"event": "cell", "cell", "status", "reason", "val_loss", "seconds"}. An error in one cell is that cell's result;
    an error before any cell starts is the result of them all.
    """
    cells = records.sweep(workdir)["programs"][program_id]
    yield from run_cells(workdir, [cell for cell in cells if cell not in records.finished(workdir, cells)])


def run_cells(workdir: str, cells: list[str]) -> Iterator[Event]:
    """Trains these cells of one program."""
    started = time.perf_counter()
    try:
        configs = {cell: read_config(workdir, cell) for cell in cells}
        compiled = compile_program(next(iter(configs.values()))) if configs else None
    except Exception:
        for cell in cells:
            yield fail(workdir, cell, time.perf_counter() - started)
        return
    if compiled:
        yield {"event": "compiled", "seconds": compiled.seconds}
    for cell, config in configs.items():
        started = time.perf_counter()
        try:
            yield from run_cell(workdir, cell, config, compiled)
        except Exception:
            yield fail(workdir, cell, time.perf_counter() - started)


def read_config(workdir: str, cell: str) -> Config:
    """The config of a cell as its record has it."""
    return freeze(records.read_json(records.cell_dir(workdir, cell) / "config.json")["config"])


def fail(workdir: str, cell: str, seconds: float) -> Event:
    """Records the error that is being handled as the result of a cell."""
    text = traceback.format_exc()
    reason = next((line for line in reversed(text.splitlines()) if line.strip()), "unknown")
    return finish(workdir, cell, None, None, None, status("failed", seconds, reason=reason[:500]), error=text)


def status(name: str, seconds: float, step: int | None = None, reason: str | None = None) -> dict:
    """The content of status.json."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"status": name, "step": step, "reason": reason, "finished": now, "seconds": round(seconds, 3)}


def finish(workdir, cell, metrics, layers, summary, outcome: dict, error: str | None = None) -> Event:
    """Writes the records of a cell and gives the event that says so."""
    records.write_result(workdir, cell, metrics, layers, summary, outcome, error=error)
    shown = {name: outcome[name] for name in ("status", "reason", "seconds")}
    return {"event": "cell", "cell": cell, "val_loss": (summary or {}).get("val_loss"), **shown}


def compile_program(config: Config) -> Compiled:
    """Everything that the cells of a program share, compiled before the first of them starts."""
    started = time.perf_counter()
    structure, about = split(config)[0], data.describe(config.data)
    program = train.Program(structure, about.task, about.vocab_size, about.num_classes or about.vocab_size)
    arrays = jax.device_put(data.load(config.data))
    held_out = {name: hold_out(config, arrays, name) for name in ("validation", "test")}
    numbers = values(config)
    init = compiled(train.init, program, COMPILE_QUICKLY)
    state = jax.eval_shape(functools.partial(train.init, program), numbers)
    shapes = (numbers, arrays, state)
    return Compiled(
        program,
        about,
        arrays,
        held_out,
        init.lower(numbers).compile(),
        compiled(train.chunk, program, COMPILE, donate_argnums=2).lower(*shapes, np.int32(1)).compile(),
        compiled(train.diagnose, program, COMPILE_QUICKLY).lower(*shapes).compile(),
        compiled(train.evaluate, program, COMPILE),
        provenance.git().get("commit"),
        time.perf_counter() - started,
    )


def compiled(function, program: train.Program, options: dict, **kwargs):
    """A training function of a program under jit; options that only a CPU has are for a CPU."""
    options = options if jax.default_backend() == "cpu" else None
    return jax.jit(functools.partial(function, program), compiler_options=options, **kwargs)


def hold_out(config: Config, arrays: dict, name: str) -> tuple[dict, int]:
    """The held-out sequences of a split as whole batches, the last one filled up, and how many there are."""
    found = jax.device_get(batches.held_out(config.data, arrays, name, config.train.eval_windows))
    count, size = len(found["inputs"]), min(config.train.batch_size, len(found["inputs"]))
    rows = np.arange(-(-count // size) * size) % count
    return {key: array[rows].reshape(-1, size, *array.shape[1:]) for key, array in found.items()}, count


def run_cell(workdir: str, cell: str, config: Config, compiled: Compiled) -> Iterator[Event]:
    """Trains one cell to its end, or to its first bad step."""
    started, numbers, steps = time.perf_counter(), values(config), config.train.steps
    state, rows, layers, step = compiled.init(numbers), [], [], 0
    per_step = config.train.batch_size * config.data.seq_len
    while step < steps and int(state.bad_step) < 0:
        run = min(config.train.chunk_steps, steps - step)
        state, metrics = compiled.chunk(numbers, compiled.arrays, state, np.int32(run))
        ran = int(state.step) - step
        rows.append({name: np.asarray(row)[:ran] for name, row in metrics.items()})
        step += ran
        if config.train.diagnostics:
            layers.append((step, compiled.diagnose(numbers, compiled.arrays, state)))
        yield {"event": "progress", "cell": cell, "step": step, "steps": steps, "tokens": ran * per_step}
    curves = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    seconds = time.perf_counter() - started
    summary = summarise(config, compiled, numbers, state, curves, step * per_step / seconds, seconds)
    outcome = judge(summary, int(state.bad_step), compiled.about, time.perf_counter() - started)
    metrics = {"step": np.arange(1, step + 1, dtype=np.int32), **curves}
    yield finish(workdir, cell, metrics, layer_columns(layers), summary, outcome)


def layer_columns(layers: list[tuple[int, dict]]) -> dict[str, np.ndarray] | None:
    """The diagnostics of all chunks as columns: step, layer from 1, and one per statistic."""
    if not layers:
        return None
    tables = [{name: np.asarray(column) for name, column in found.items()} for _, found in layers]
    depth = len(tables[0]["grad_rms"])
    index = {
        "step": np.repeat(np.asarray([step for step, _ in layers], np.int32), depth),
        "layer": np.tile(np.arange(1, depth + 1, dtype=np.int32), len(layers)),
    }
    return index | {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def summarise(config, compiled: Compiled, numbers, state, curves: dict, speed: float, seconds: float) -> dict:
    """The content of summary.json."""
    about, found = compiled.about, {}
    for name, prefix in (("validation", "val"), ("test", "test")):
        held_out, count = compiled.held_out[name]
        scores = compiled.evaluate(numbers, state.params, held_out)
        scores = {score: np.asarray(array, np.float64).reshape(-1)[:count] for score, array in scores.items()}
        found[f"{prefix}_loss"] = scores["loss"].mean()
        found[f"{prefix}_loss_se"] = scores["loss"].std(ddof=1) / count**0.5
        found[f"{prefix}_accuracy"] = scores["accuracy"].mean() if about.task == "classify" else None
    gap = None if about.floor_loss is None else about.unigram_loss - about.floor_loss
    return found | {
        "final_train_loss": float(np.mean(curves["train_loss"][-20:], dtype=np.float64)),
        "params": sum(leaf.size for leaf in jax.tree.leaves(state.params)),
        "flops_per_step": cost.flops_per_step(config, compiled.program.outputs, about.task),
        "tokens_per_second": speed,
        "compile_seconds": compiled.seconds,
        "train_seconds": seconds,
        "unigram_loss": about.unigram_loss,
        "floor_loss": about.floor_loss,
        "progress": None if gap is None else (about.unigram_loss - found["val_loss"]) / gap,
        "device": jax.devices()[0].device_kind,
        "commit": compiled.commit,
        "jax": jax.__version__,
    }


def judge(summary: dict, bad_step: int, about: Description, seconds: float) -> dict:
    """done, diverged (with its first bad step), or stuck: less than STUCK of the way from H1 to the reference loss.

    The reference is the entropy rate where it is known, else the bigram loss of the training text, else 0.
    """
    if bad_step >= 0:
        return status("diverged", seconds, bad_step + 1, f"loss or gradient not finite at step {bad_step + 1}")
    reference = next((loss for loss in (about.floor_loss, about.bigram_loss) if loss is not None), 0.0)
    bar = about.unigram_loss - STUCK * (about.unigram_loss - reference)
    if not summary["val_loss"] < bar:
        return status("stuck", seconds, None, f"validation loss {summary['val_loss']:.4f} never beat {bar:.4f}")
    return status("done", seconds)


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return json.dumps(event, default=float)
