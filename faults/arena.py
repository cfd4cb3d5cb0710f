"""Where faults happen: a small sweep, its launcher as a user runs it, and a run of it that nothing disturbed."""

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from experiments import records
from experiments.equality import SOURCE, TIMES

ROOT = Path(__file__).parents[1]
PATIENCE = 600.0  # seconds that a launch may take before something is taken to hang
SWEEP = '''"""Is a small sweep the same, whatever happens to it?"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 8
    c.model.num_layers = 1
    c.model.num_heads = 2
    c.data.name = "markov1"
    c.data.vocab_size = 8
    c.data.seq_len = 8
    c.train.batch_size = 4
    c.train.steps = 20
    c.train.chunk_steps = 5
    c.train.eval_windows = 8
    return c


def get_hyper(hyper):
    return hyper.product([hyper.sweep("model.wiring", {wirings}), hyper.sweep("seed.init", range(4))])


def get_table():
    return Table(rows=("model.wiring",), seeds=("seed.init",), baseline={{"model.wiring": "pre"}})
'''


@dataclass(frozen=True)
class Arena:
    """A folder with the sweep file, the undisturbed run `reference`, and one cache of compiled programs for all."""

    folder: Path
    seconds: float = 10.0  # that the undisturbed run took

    @classmethod
    def open(cls, folder: Path, wirings: tuple[str, ...] = ("pre",)) -> "Arena":
        """Runs the sweep, a program for each wiring, twice without any fault: to compile it, then as the reference."""
        arena = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "small.py").write_text(SWEEP.format(wirings=list(wirings)))
        for workdir in (folder / "first", arena.reference):
            begun = time.monotonic()
            done = arena.launch(workdir, "--checkpoint_seconds=-1")
            if done.wait(PATIENCE) != 0:
                raise RuntimeError(done.stderr.read())
        return cls(folder, time.monotonic() - begun)

    @property
    def reference(self) -> Path:
        """The workdir of the undisturbed run."""
        return self.folder / "reference"

    @functools.cached_property
    def cells(self) -> list[str]:
        """The cells of the sweep."""
        return records.sweep(self.reference)["cells"]

    @functools.cached_property
    def expected(self) -> dict[str, str]:
        """Cell -> the digest of its numbers, undisturbed."""
        return {cell: numbers(self.reference, cell) for cell in self.cells}

    def fresh(self) -> Path:
        """A workdir that does not exist yet."""
        return self.folder / f"try {uuid.uuid4().hex[:8]} ü"

    def launch(
        self, workdir: Path, *arguments: str, output: IO | int = subprocess.PIPE, **faults: str
    ) -> subprocess.Popen:
        """The launcher as a process: one lane, and a checkpoint at every chunk unless `arguments` say otherwise.

        `faults`: what its processes do to themselves, as faults/injected knows it.
        """
        flags = [f"--config={self.folder / 'small.py'}", f"--workdir={workdir}", "--lanes=1", "--checkpoint_seconds=0"]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled"), **faults}
        if faults:
            environment["PYTHONPATH"] = str(ROOT / "faults" / "injected")
        # a shell has its background jobs, such as a nightly run of this, ignore Ctrl-C
        listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipes = {"stdout": output, "stderr": output}
        command = [sys.executable, "-m", "experiments.launch", *flags, *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, preexec_fn=listen, **pipes)

    def finish(self, workdir: Path, *arguments: str) -> list[str]:
        """Launches until the end, and says what is not as after an undisturbed run."""
        process = self.launch(workdir, *arguments)
        _, errors = process.communicate(timeout=PATIENCE)
        wrong = [f"exit status {process.returncode}: {errors[-300:]}"] if process.returncode else []
        return wrong + self.left_behind(workdir)

    def left_behind(self, workdir: Path) -> list[str]:
        """Processes and files that should be gone."""
        orphans = [f"orphan {process.pid}" for process in lanes(workdir, patience=20)]
        gone = [path for name in ("leases", "checkpoints") for path in (workdir / name).rglob("*")]
        gone += [path for path in workdir.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")]
        return orphans + [f"left behind: {path.relative_to(workdir)}" for path in gone]

    def changed(self, workdir: Path) -> list[str]:
        """The cells whose numbers are not those of the reference, also where there are none, and the table."""
        done = records.finished(workdir, self.cells)
        return [cell for cell in self.cells if cell not in done or numbers(workdir, cell) != self.expected[cell]]


def kept(workdir: Path, cells: Iterable[str]) -> dict[str, str]:
    """Cell -> a digest of every byte that it left, for the cells that have a result."""
    return {cell: written(records.cell_dir(workdir, cell)) for cell in records.finished(workdir, cells)}


def written(folder: Path) -> str:
    """A digest of all files of a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def numbers(workdir: Path, cell: str) -> str:
    """A digest of all that a cell left but its times and what made it: somebody may commit meanwhile."""
    folder, total = records.cell_dir(workdir, cell), hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    for name in ("config.json", "summary.json", "status.json"):
        said = records.read_json(folder / name) if (folder / name).is_file() else {}
        said["files"] = sorted(said.get("files", ()))  # the hash of summary.json knows the times
        total.update(json.dumps({key: said[key] for key in sorted(said) if key not in (*TIMES, *SOURCE)}).encode())
    return total.hexdigest()


def lanes(workdir: Path, patience: float = 0.0) -> list[psutil.Process]:
    """The lanes of a workdir that still run after `patience` seconds."""
    until = time.monotonic() + patience
    while found := [process for process in psutil.process_iter(["cmdline"]) if of(process, workdir)]:
        if time.monotonic() >= until:
            break
        time.sleep(0.1)
    return found


def of(process: psutil.Process, workdir: Path) -> bool:
    """Whether a process is a lane of the workdir."""
    words = process.info["cmdline"] or ()
    return "experiments.executors.lane" in words and str(workdir) in words and process.status() != psutil.STATUS_ZOMBIE
