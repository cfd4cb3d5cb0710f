"""A sweep that trains in seconds: for the tests of plan, engine, executors and launch."""

import subprocess
import sys
from pathlib import Path

from experiments import plan, running, sweep_file

ROOT = Path(__file__).parents[2]

SWEEP = '''"""Does a tiny sweep run? Its question has <b>markup</b> and a % sign."""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 8
    c.model.num_layers = 2
    c.model.num_heads = 2
    c.data.name = "markov1"
    c.data.vocab_size = 8
    c.data.seq_len = 8
    c.train.batch_size = 4
    c.train.steps = 12
    c.train.chunk_steps = 5
    c.train.eval_windows = 8
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.wiring", ["post", "pre"]),
            hyper.sweep("optim.learning_rate", [1e-2, 3e-2]),
            hyper.sweep("seed.init", [0, 1]),
        ]
    )


def get_table():
    return Table(
        rows=("model.wiring",),
        nuisance=("optim.learning_rate",),
        seeds=("seed.init",),
        baseline={"model.wiring": "post"},
    )
'''


def write(folder, text=SWEEP, name="tiny.py"):
    """The path of a sweep file in a folder."""
    path = Path(folder) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def prepare(folder, text=SWEEP, overrides=()):
    """(workdir, plan) of a sweep text, ready for run_program."""
    made = plan.make(sweep_file.read(write(folder, text)), sweep_file.parse(list(overrides)))
    running.prepare(made, str(Path(folder) / "run"), "launch", set())
    return str(Path(folder) / "run"), made


def launch(*arguments, **kwargs):
    """The launcher in a process of its own, as a user runs it."""
    command = [sys.executable, "-m", "experiments.launch", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, **kwargs)
