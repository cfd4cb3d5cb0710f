"""run_program: trains the cells of one program and writes their records. This module and what it imports need JAX.

The unit of work is idempotent: a cell that has a result is left alone. A program is compiled once; on CPU its cells
run one after the other through the same compiled code, so that a cell's numbers cannot depend on its neighbours.
"""

import contextlib
import json
import time
import traceback
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments import hosts, leases, leftovers, probing, records
from experiments.checkpoints import Keeper, Run
from experiments.compiled import Compiled, compile_program, provide
from experiments.files import RecordError, trouble
from experiments.outcome import held_out_scores, judge, judge_start, layer_columns, status, summarise
from experiments.settings import USUAL, Settings
from flax_tx.config import Config, freeze
from flax_tx.values import values

Event = dict[str, Any]


def run_program(workdir: str, program_id: str, settings: Settings = USUAL) -> Iterator[Event]:
    """Trains what is missing of a program, writes every cell's records as it ends, and says what happens as events.

    {"event": "compiled", "seconds"}, {"event": "progress", "cell", "step", "steps", "tokens"},
    {"event": "cell", "cell", "status", "reason", "val_loss", "seconds"}. An error in one cell is that cell's result;
    an error before any cell starts is the result of them all.
    """
    cells = records.sweep(workdir)["programs"][program_id]
    return run_cells(workdir, [cell for cell in cells if cell not in records.finished(workdir, cells)], settings)


def run_cells(workdir: str, cells: list[str], settings: Settings = USUAL, lease: str | None = None) -> Iterator[Event]:
    """Trains these cells of one program, as long as the file `lease` is there, if one is named.

    Raises: Unwritable, when a result cannot be written.
    """
    provide(settings)
    with contextlib.suppress(leases.Lost):
        yield from train_cells(Desk(workdir, settings, lease), cells)


def train_cells(desk: "Desk", cells: list[str]) -> Iterator[Event]:
    """Compiles, then trains each of the cells. Raises: Lost, Unwritable."""
    started = time.perf_counter()
    try:
        configs = {cell: read_config(desk.workdir, cell) for cell in cells}
        compiled = compile_program(next(iter(configs.values()))) if configs else None
    except records.RecordError as damage:
        raise Unwritable(str(damage)) from None
    except Exception:
        for cell in cells:
            yield desk.fail(cell, time.perf_counter() - started)
        return
    if compiled:
        yield {"event": "compiled", "seconds": compiled.seconds}
    for cell, config in configs.items():
        started = time.perf_counter()
        try:
            yield from run_cell(desk, cell, config, compiled)
        except (leases.Lost, Unwritable):
            raise
        except Exception:
            yield desk.fail(cell, time.perf_counter() - started)


def read_config(workdir: str, cell: str) -> Config:
    """The config of a cell as its record has it."""
    return freeze(records.read_config(workdir, cell))


class Unwritable(RecordError):
    """A result could not be written: no cell's fault, and nothing more can be kept until the disk is mended."""


class Desk(NamedTuple):
    """Where results go, how cells are run, and the file that must be there as long as they may be written."""

    workdir: str
    settings: Settings = USUAL
    lease: str | None = None

    def keeper(self, cell: str, config: Config, compiled: Compiled) -> Keeper:
        """What keeps a cell while it trains."""
        if hosts.first():
            leftovers.sweep_out(records.cell_dir(self.workdir, cell))
        return Keeper(self.workdir, cell, config, compiled.origin, self.settings)

    def finish(self, cell, outcome, summary=None, metrics=None, layers=None, probes=None, error=None) -> Event:
        """Writes the records of a cell and gives the event that says so. Raises: Lost, Unwritable."""
        leases.check(self.lease)
        try:
            if hosts.first():
                records.write_result(self.workdir, cell, metrics, layers, summary, outcome, error, probes)
        except OSError as problem:
            raise Unwritable(trouble(problem)) from None
        shown = {name: outcome[name] for name in ("status", "reason", "seconds")}
        return {"event": "cell", "cell": cell, "val_loss": (summary or {}).get("val_loss"), **shown}

    def fail(self, cell: str, seconds: float) -> Event:
        """Records the error that is being handled as the result of a cell, unless it is that a process is gone."""
        text = traceback.format_exc()
        hosts.meet()
        reason = next((line for line in reversed(text.splitlines()) if line.strip()), "unknown")
        return self.finish(cell, status("failed", seconds, reason=reason[:500]), error=text)


def run_cell(desk: Desk, cell: str, config: Config, compiled: Compiled) -> Iterator[Event]:
    """Probes and trains one cell to its end, or to its first bad step."""
    started, keeper = time.perf_counter(), desk.keeper(cell, config, compiled)
    found = compiled.start.measure(config, compiled.arrays) if compiled.start else {}
    if not config.train.steps:
        summary, seconds = summarise(config, compiled, {}), time.perf_counter() - started
        yield desk.finish(cell, judge_start(found, seconds), summary, probes=probing.rows(found))
        return
    trained = yield from train_cell(desk, keeper, config, compiled)
    measured = trained.measured | held_out_scores(compiled, values(config), trained.run.state.params)
    summary = summarise(config, compiled, measured)
    if compiled.end:
        found |= compiled.end.measure(config, trained.run.state.params, *compiled.training.held_out["validation"])
    seconds = time.perf_counter() - started + trained.earlier
    outcome = judge(summary, int(trained.run.state.bad_step), compiled.about, seconds)
    probes = probing.rows(found) if found else None
    keeper.keep(trained.run, measured["train_seconds"])
    ended = desk.finish(cell, outcome, summary, trained.curves, layer_columns(trained.run.layers), probes)
    keeper.end()
    yield ended


class Trained(NamedTuple):
    """A cell after its last step: its run, its curves, what was measured, and the seconds of earlier tries."""

    run: Run
    curves: dict
    measured: dict
    earlier: float


def train_cell(desk: Desk, keeper: Keeper, config: Config, compiled: Compiled) -> Generator[Event, None, Trained]:
    """The steps of a cell, chunk by chunk, from its checkpoint where it has one."""
    run = keeper.resume(compiled.training.init(values(config)))
    earlier, per_step, steps = run.seconds, config.train.batch_size * config.data.seq_len, config.train.steps
    started = time.perf_counter() - earlier
    while run.step < steps and int(run.state.bad_step) < 0:
        before = run.step
        advance(run, config, compiled)
        leases.check(desk.lease)
        keeper.note(run, time.perf_counter() - started)
        tokens = (run.step - before) * per_step
        yield {"event": "progress", "cell": keeper.cell, "step": run.step, "steps": steps, "tokens": tokens}
    curves, seconds = run.curves(), time.perf_counter() - started
    measured = {
        "final_train_loss": float(np.mean(curves["train_loss"][-20:], dtype=np.float64)),
        "tokens_per_second": run.step * per_step / seconds,
        "train_seconds": seconds,
    }
    curves = {"step": np.arange(1, run.step + 1, dtype=np.int32), **curves}
    return Trained(run, curves, measured, earlier)


def advance(run: Run, config: Config, compiled: Compiled) -> None:
    """Trains to the end of the chunk, or to the first bad step, and diagnoses the layers there."""
    numbers, train_by, steps = values(config), compiled.training, config.train.steps
    size = min(config.train.chunk_steps - run.step % config.train.chunk_steps, steps - run.step)
    run.state, metrics = train_by.chunk(numbers, compiled.arrays, run.state, np.int32(size))
    ran = int(run.state.step) - run.step
    run.rows.append({name: np.asarray(row)[:ran] for name, row in metrics.items()})
    run.step += ran
    if config.train.diagnostics:
        run.layers.append((run.step, train_by.diagnose(numbers, compiled.arrays, run.state)))


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return json.dumps(event, default=float)
