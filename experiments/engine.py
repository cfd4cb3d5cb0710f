"""run_program: trains the cells of one program and writes their records. This module and what it imports need JAX.

The unit of work is idempotent: a cell that has a result is left alone. A program is compiled once; on CPU its cells
run one after the other through the same compiled code, so that a cell's numbers cannot depend on its neighbours.
"""

import json
import time
import traceback
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments import probing, records
from experiments.compiled import Compiled, compile_program
from experiments.outcome import held_out_scores, judge, judge_start, layer_columns, status, summarise
from flax_tx import train
from flax_tx.config import Config, freeze
from flax_tx.values import values

Event = dict[str, Any]


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
    return finish(workdir, cell, status("failed", seconds, reason=reason[:500]), error=text)


def finish(workdir, cell, outcome, summary=None, metrics=None, layers=None, probes=None, error=None) -> Event:
    """Writes the records of a cell and gives the event that says so."""
    records.write_result(workdir, cell, metrics, layers, summary, outcome, error, probes)
    shown = {name: outcome[name] for name in ("status", "reason", "seconds")}
    return {"event": "cell", "cell": cell, "val_loss": (summary or {}).get("val_loss"), **shown}


def run_cell(workdir: str, cell: str, config: Config, compiled: Compiled) -> Iterator[Event]:
    """Probes and trains one cell to its end, or to its first bad step."""
    started = time.perf_counter()
    found = compiled.start.measure(config, compiled.arrays) if compiled.start else {}
    if not config.train.steps:
        summary, seconds = summarise(config, compiled, {}), time.perf_counter() - started
        yield finish(workdir, cell, judge_start(found, seconds), summary, probes=probing.rows(found))
        return
    trained = yield from train_cell(cell, config, compiled)
    measured = trained.measured | held_out_scores(compiled, values(config), trained.state.params)
    summary = summarise(config, compiled, measured)
    if compiled.end:
        found |= compiled.end.measure(config, trained.state.params, *compiled.training.held_out["validation"])
    outcome = judge(summary, int(trained.state.bad_step), compiled.about, time.perf_counter() - started)
    probes = probing.rows(found) if found else None
    yield finish(workdir, cell, outcome, summary, metrics=trained.curves, layers=trained.layers, probes=probes)


class Trained(NamedTuple):
    """A cell after its last step: its state, its curves, its diagnostics, and what was measured on the way."""

    state: train.State
    curves: dict
    layers: dict | None
    measured: dict


def train_cell(cell: str, config: Config, compiled: Compiled) -> Generator[Event, None, Trained]:
    """The steps of a cell, chunk by chunk."""
    started, numbers, steps, train_by = time.perf_counter(), values(config), config.train.steps, compiled.training
    state, rows, layers, step = train_by.init(numbers), [], [], 0
    per_step = config.train.batch_size * config.data.seq_len
    while step < steps and int(state.bad_step) < 0:
        run = min(config.train.chunk_steps, steps - step)
        state, metrics = train_by.chunk(numbers, compiled.arrays, state, np.int32(run))
        ran = int(state.step) - step
        rows.append({name: np.asarray(row)[:ran] for name, row in metrics.items()})
        step += ran
        if config.train.diagnostics:
            layers.append((step, train_by.diagnose(numbers, compiled.arrays, state)))
        yield {"event": "progress", "cell": cell, "step": step, "steps": steps, "tokens": ran * per_step}
    curves = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    seconds = time.perf_counter() - started
    measured = {
        "final_train_loss": float(np.mean(curves["train_loss"][-20:], dtype=np.float64)),
        "tokens_per_second": step * per_step / seconds,
        "train_seconds": seconds,
    }
    curves = {"step": np.arange(1, step + 1, dtype=np.int32), **curves}
    return Trained(state, curves, layer_columns(layers), measured)


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return json.dumps(event, default=float)
