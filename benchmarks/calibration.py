"""What the parts of a launch cost on this machine, each measured alone in this process: for the model of a cluster."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments import plan as planning
from experiments import progress, records, sweep_file
from experiments.executors.backlog import Backlog
from experiments.leases import Leases
from experiments.plan import Plan
from flax_tx.config import to_dict

CELLS, PROGRAMS = 10_000, 8
SWEEP = '''"""How long does the launcher take to plan many cells?"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    return config.default()


def get_hyper(hyper):
    return hyper.product([
        hyper.sweep("model.num_heads", [1, 2, 4, 8]),
        hyper.sweep("optim.learning_rate", [0.001 * 1.2**i for i in range(50)]),
        hyper.sweep("seed.init", range({seeds})),
    ])


def get_table():
    return Table(rows=("model.num_heads",), nuisance=("optim.learning_rate",), seeds=("seed.init",),
                 baseline={{"model.num_heads": 4}})
'''


def seconds(call: Callable[[], object]) -> float:
    """What a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure() -> dict[str, float]:
    """Seconds: planning a cell, writing its config, an event, a look at the other launchers, writing a result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.py"
        path.write_text(SWEEP.format(seeds=CELLS // 200))
        plans: list[Plan] = []
        planned = seconds(lambda: plans.append(planning.make(sweep_file.read(str(path)), {})))
        plan, workdir = plans[0], Path(folder) / "run"
        sample = list(plan.cells)[:500]
        configs = seconds(lambda: [records.write_cell_config(workdir, c, to_dict(plan.cells[c])) for c in sample])
        return {
            "plan_cell": planned / CELLS,
            "write_config": configs / len(sample),
            "event": event(plan),
            "look": look(plan, str(workdir)),
            "submit": submit(str(workdir)),
            "result": result(workdir, sample[:200]),
        }


def event(plan: Plan) -> float:
    """An event of progress, as the launcher shows and counts it."""
    cells = list(plan.cells)
    events = [
        {"event": "progress", "cell": cell, "step": 50, "steps": 300, "tokens": 51_200, "lane": 0}
        for cell in cells[:500]
    ]
    quiet = Console(quiet=True)
    return seconds(lambda: [*progress.follow(plan, cells, events, quiet)]) / len(events)


def look(plan: Plan, workdir: str) -> float:
    """A look at what other launchers have finished, of as many cells as the plan has."""
    backlog = Backlog(workdir, plan.programs, Leases(workdir))
    return seconds(lambda: [*backlog.news()])


def submit(workdir: str) -> float:
    """Taking a program with its lease, and giving it back."""
    leases = Leases(workdir)
    backlog = Backlog(workdir, {f"p{number}": [f"cell{number}"] for number in range(200)}, leases)
    try:
        return seconds(lambda: [backlog.take() for _ in range(200)]) / 200
    finally:
        leases.close()


def result(workdir: Path, cells: list[str]) -> float:
    """The files of a cell of 300 steps with six layers, each brought to the disk."""
    rng, rows = np.random.default_rng(0), np.arange(1, 301, dtype=np.int32)
    curves = {name: rng.random(300, np.float32) for name in ("train_loss", "grad_norm", "learning_rate")}
    layers = {"step": np.repeat(rows[49::50], 6), "layer": np.tile(np.arange(1, 7, dtype=np.int32), 6)}
    layers |= {f"diagnostic_{i}": rng.random(36, np.float32) for i in range(11)}
    status = {"status": "done", "seconds": 1.0, "finished": "2026-01-01T00:00:00+00:00"}
    summary = {"val_loss": 2.0, "params": 333_440}

    def write() -> None:
        for cell in cells:
            records.write_result(workdir, cell, {"step": rows, **curves}, layers, summary, status)

    return seconds(write) / len(cells)
