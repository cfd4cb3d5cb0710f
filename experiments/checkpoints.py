"""Cells in training, on disk: state, curves and diagnostics at the end of a chunk. Needs JAX; Orbax only when used.

    checkpoints/<cell>/<step>/      what Orbax wrote; the folder goes when the cell has a result
    checkpoints/<cell>/<step>.json  {"step", "seconds", "layout", "origin", "sha256"}, written last: else there is none
    states/<family>/<step>{/,.json} the same of a cell that ended, where --keep_state kept it for longer ones

Arrays that are split over devices are written and read in parts, each by the process that has it; the first process
does the rest.

A checkpoint is used only as it was written and only by what wrote it: the same code, libraries, processor and data.
Any other is named in the log and left alone, and the cell starts anew.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from experiments import arrays, growth, hosts, records
from experiments.runs import Run, from_arrays, lies
from experiments.settings import Settings
from flax_tx import train
from flax_tx.config import Config
from flax_tx.errors import UserError

SHARE = 0.05  # of the time that checkpoints may take, where there are many cells to save


def save(folder: Path, run: Run, origin: dict) -> None:
    """Writes a checkpoint, in place of what an earlier try left of it."""
    target = (folder / str(run.step)).absolute()
    if hosts.first():
        folder.mkdir(parents=True, exist_ok=True)
        clear(folder, lambda step: step == target.name)
        target.mkdir()
    layout = arrays.write(target, run.arrays())
    if hosts.first():
        about = {"step": run.step, "seconds": run.seconds, "layout": layout, "origin": origin, "sha256": digest(target)}
        records.write_json(target.with_suffix(".json"), about)


def clear(folder: Path, unwanted: Callable[[str], bool]) -> None:
    """Removes the checkpoints, whole or not, of the steps that are not wanted."""
    for path in folder.iterdir():
        if unwanted(path.name.lstrip(".").split(".")[0]):
            remove(path)


def remove(path: Path) -> None:
    """Removes a file or a folder."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def digest(folder: Path) -> str:
    """A hash of the names and the contents of all files of a folder, each brought to the disk first."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            total.update(path.relative_to(folder).as_posix().encode() + b"\0")
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def load(path: Path, like: train.State, origin: dict) -> Run:
    """The run of <step>.json. Raises: ValueError, UserError where it is not whole or not of this origin."""
    about = hosts.decided(proved, path, origin)
    found = arrays.read(path.with_suffix("").absolute(), about["layout"], lies(like))
    return from_arrays(found, like, about["step"], about["seconds"])


def proved(path: Path, origin: dict) -> dict:
    """The content of <step>.json. Raises: ValueError, UserError as `load`."""
    about = records.read_json(path)
    foreign = [name for name in origin if about["origin"].get(name) != origin[name]]
    if foreign:
        raise ValueError(f"made with another {', '.join(foreign)}")
    if digest(path.with_suffix("")) != about["sha256"]:
        raise ValueError("damaged")
    return about


class Keeper:
    """Keeps one cell while it trains: what it goes on from, and when it is saved."""

    def __init__(self, workdir: str, cell: str, config: Config, origin: dict, settings: Settings):
        self.cell, self.folder = cell, Path(workdir) / "checkpoints" / cell
        self.origin, self.settings = origin, settings
        self.states = growth.states(workdir, config) if growth.open_ended(config) else None
        self.train, self.every = config.train, settings.checkpoint_seconds
        self.saved, self.took = time.monotonic(), 0.0

    def resume(self, fresh: train.State) -> Run:
        """The furthest run that can be used, else one from the fresh state."""
        for path in map(Path, hosts.agreed([str(path) for path in self.candidates()])):
            try:
                return self.within(load(path, fresh, self.origin))
            except (UserError, ValueError, KeyError, TypeError, OSError) as error:
                print(f"{path}: not used: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return Run(fresh, [], [])

    def within(self, run: Run) -> Run:
        """The run of a shorter cell as this one would have had it: diagnosed at the ends of its own chunks only."""
        run.layers = [(step, found) for step, found in run.layers if step % self.train.chunk_steps == 0]
        return run

    def candidates(self) -> Iterator[Path]:
        """The checkpoints of this cell and the kept states of shorter ones, the furthest first."""
        found = [*self.folder.glob("*.json"), *(self.states.glob("*.json") if self.states else ())]
        steps = {path: int(path.stem) for path in found if path.stem.isdecimal()}
        return (path for path in sorted(steps, key=steps.get, reverse=True) if steps[path] < self.train.steps)

    def due(self, run: Run, together: int) -> bool:
        """Whether it is time to save a run that goes on after this chunk, and `together` - 1 others with it."""
        pause = max(self.every, together * self.took / SHARE) if self.every else 0
        waited = self.every >= 0 and hosts.agreed(pause <= time.monotonic() - self.saved)
        return waited and run.step < self.train.steps and run.bad_step < 0

    def note(self, run: Run) -> None:
        """Saves a run that goes on, in place of what was saved before."""
        begun = time.monotonic()
        if self.write(self.folder, run) and hosts.first():
            clear(self.folder, lambda step: step != str(run.step))
        self.saved = time.monotonic()
        self.took = self.saved - begun

    def write(self, folder: Path, run: Run) -> bool:
        """Saves a run; what goes wrong with that is a line in the log, not the end of the cell."""
        try:
            save(folder, run, self.origin)
            return True
        except (OSError, ValueError) as error:
            print(f"{folder}: no checkpoint: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            return False

    def keep(self, run: Run) -> None:
        """Saves the last state, where that was asked for and a longer cell can go on from it."""
        if self.settings.keep_state and self.states and run.bad_step < 0:
            self.write(self.states, run)

    def end(self) -> None:
        """The cell has a result: its checkpoints go."""
        if hosts.first():
            shutil.rmtree(self.folder, ignore_errors=True)
