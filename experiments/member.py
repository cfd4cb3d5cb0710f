"""One cell of a program: how it begins, and what becomes of it when nothing is left to train. Needs JAX."""

import time
from dataclasses import dataclass, field

import numpy as np

from experiments import probing
from experiments.checkpoints import Keeper
from experiments.compiled import Compiled
from experiments.desk import Desk, Event
from experiments.outcome import held_out_scores, judge, judge_start, layer_columns, summarise
from experiments.runs import Run
from flax_tx.config import Config
from flax_tx.values import values


@dataclass
class Member:
    """A cell that waits to begin (no `run`), or that trains. `started`, `trained`: since when, on time.perf_counter,
    with its probes and without, as if earlier launches had ended at that moment."""

    cell: str
    config: Config
    keeper: Keeper | None = None
    run: Run | None = None
    found: dict = field(default_factory=dict)  # by the probes of the start
    started: float = field(default_factory=time.perf_counter)
    trained: float = 0.0

    def left(self) -> int:
        """Steps up to the end of the chunk; none after the last step or a bad one."""
        train, step = self.config.train, self.run.step
        return min(train.chunk_steps - step % train.chunk_steps, train.steps - step) if self.run.bad_step < 0 else 0

    def record(self, step: int, bad_step: int, metrics: dict, layers: dict | None) -> None:
        """Takes what a chunk gave that ended at `step`."""
        self.run.record(step, bad_step, metrics, layers)
        self.run.seconds = time.perf_counter() - self.trained


def begin(desk: Desk, member: Member, compiled: Compiled) -> None:
    """Probes a cell, and finds what it goes on from."""
    member.started = time.perf_counter()
    member.keeper = desk.keeper(member.cell, member.config, compiled)
    member.found = compiled.start.measure(member.config, compiled.arrays) if compiled.start else {}
    member.run = member.keeper.resume(compiled.training.init(values(member.config)))
    member.started -= member.run.seconds


def look(desk: Desk, member: Member, compiled: Compiled) -> Event:
    """Probes and judges a cell of no step."""
    found = compiled.start.measure(member.config, compiled.arrays) if compiled.start else {}
    outcome = judge_start(found, time.perf_counter() - member.started)
    return desk.finish(member.cell, outcome, summarise(member.config, compiled, {}), probes=probing.rows(found))


def finish(desk: Desk, member: Member, run: Run, compiled: Compiled, evaluated: dict) -> Event:
    """Probes and judges a cell after its last step. `run` holds its state; evaluated: the losses of held-out data."""
    config, keeper, found = member.config, member.keeper, member.found
    curves = run.curves()
    summary = summarise(config, compiled, measure(config, run, curves) | held_out_scores(compiled, evaluated))
    if compiled.end:
        found |= compiled.end.measure(config, run.state.params, *compiled.training.held_out["validation"])
    outcome = judge(summary, run.bad_step, compiled.about, time.perf_counter() - member.started)
    keeper.keep(run)
    curves = {"step": np.arange(1, run.step + 1, dtype=np.int32), **curves}
    probes = probing.rows(found) if found else None
    ended = desk.finish(member.cell, outcome, summary, curves, layer_columns(run.layers), probes)
    keeper.end()
    return ended


def measure(config: Config, run: Run, curves: dict) -> dict:
    """What the training of a cell says of it."""
    return {
        "final_train_loss": float(np.mean(curves["train_loss"][-20:], dtype=np.float64)),
        "tokens_per_second": run.step * config.train.batch_size * config.data.seq_len / run.seconds,
        "train_seconds": run.seconds,
    }
