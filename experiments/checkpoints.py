"""Cells in training, on disk: state, curves and diagnostics at the end of a chunk. Needs JAX; Orbax only when used.

    checkpoints/<cell>/<step>/      what Orbax wrote; the folder goes when the cell has a result
    checkpoints/<cell>/<step>.json  {"step", "seconds", "layout", "origin", "sha256"}, written last: else there is none
    states/<family>/<step>{/,.json} the same of a cell that ended, where --keep_state kept it for longer ones

A checkpoint is used only as it was written and only by what wrote it: the same code, libraries, processor and data.
Any other is named in the log and left alone, and the cell starts anew.
"""

import functools
import hashlib
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from experiments import growth, records
from experiments.settings import Settings
from flax_tx import train
from flax_tx.config import Config
from flax_tx.errors import UserError

SHARE = 0.05  # of the time that checkpoints may take, where there are many cells to save


@dataclass
class Run:
    """A cell in training after `step` steps: its state, the metrics of its chunks, and the diagnostics after each."""

    state: train.State | None  # None while it lies in a group
    rows: list[dict]
    layers: list[tuple[int, dict]]
    step: int = 0
    seconds: float = 0.0  # of training, up to there, in all launches
    bad_step: int = -1  # the first, from 0

    def record(self, step: int, bad_step: int, metrics: dict, layers: dict | None) -> None:
        """Takes the metrics of a chunk that ended at `step`, and the diagnostics there."""
        self.rows.append({name: row[: step - self.step] for name, row in metrics.items()})
        self.step, self.bad_step = int(step), int(bad_step)
        if layers is not None:
            self.layers.append((self.step, layers))

    def curves(self) -> dict[str, np.ndarray]:
        """Name -> (step,)."""
        return {name: np.concatenate([row[name] for row in self.rows]) for name in self.rows[0]}

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a checkpoint holds, by name; an array of no element says nothing and cannot be written."""
        leaves = {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self.state))}
        curves = {f"curve_{name}": curve for name, curve in self.curves().items()}
        diagnosed = {"at": [step for step, _ in self.layers]} if self.layers else {}
        for name in self.layers[0][1] if self.layers else ():
            diagnosed[name] = [np.asarray(found[name]) for _, found in self.layers]
        layers = {f"layer_{name}": np.stack(column) for name, column in diagnosed.items()}
        return {name: array for name, array in (leaves | curves | layers).items() if array.size}


def from_arrays(arrays: dict[str, np.ndarray], like: train.State, step: int, seconds: float) -> Run:
    """The inverse of Run.arrays. `like`: a state of the same program. Raises: KeyError, ValueError for another's."""
    leaves, tree = jax.tree.flatten(like)
    kept = [arrays[f"state_{i}"] if leaf.size else np.asarray(leaf) for i, leaf in enumerate(leaves)]
    if any(new.shape != leaf.shape or new.dtype != leaf.dtype for new, leaf in zip(kept, leaves, strict=True)):
        raise ValueError("the arrays of another model")
    curves, layers = ({n[6:]: a for n, a in arrays.items() if n.startswith(kind)} for kind in ("curve_", "layer_"))
    at = layers.pop("at", ())
    diagnosed = [(int(at[i]), {name: column[i] for name, column in layers.items()}) for i in range(len(at))]
    return Run(jax.tree.unflatten(tree, jax.device_put(kept)), [curves], diagnosed, step, seconds)


def save(folder: Path, run: Run, origin: dict) -> None:
    """Writes a checkpoint, in place of what an earlier try left of it."""
    target = (folder / str(run.step)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    clear(folder, lambda step: step == target.name)
    packed, layout = pack(run.arrays())
    orbax().save(target, packed)
    about = {"step": run.step, "seconds": run.seconds, "layout": layout, "origin": origin, "sha256": digest(target)}
    records.write_json(target.with_suffix(".json"), about)


@functools.cache
def orbax():
    """Orbax's checkpointer of one array: it takes a second of imports, which only long cells need."""
    from orbax import checkpoint

    return checkpoint.Checkpointer(checkpoint.ArrayCheckpointHandler())


def pack(arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, list]:
    """All arrays as one of bytes, and [name, type, shape] of each in turn.

    Orbax takes half the time for it, and keeps no memory: of a tree of arrays it keeps some 50 kB at every save.
    """
    layout = [[name, array.dtype.name, array.shape] for name, array in arrays.items()]
    return np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays.values()]), layout


def unpack(packed: np.ndarray, layout: list) -> dict[str, np.ndarray]:
    """The inverse of pack. Raises: TypeError, ValueError for the bytes of others."""
    sizes = [np.dtype(kind).itemsize * math.prod(shape) for _, kind, shape in layout]
    parts = np.split(packed, np.cumsum(sizes))
    if parts.pop().size:
        raise ValueError("more bytes than its layout says")
    return {name: part.view(kind).reshape(shape) for part, (name, kind, shape) in zip(parts, layout, strict=True)}


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
    about = records.read_json(path)
    foreign = [name for name in origin if about["origin"].get(name) != origin[name]]
    if foreign:
        raise ValueError(f"made with another {', '.join(foreign)}")
    if digest(path.with_suffix("")) != about["sha256"]:
        raise ValueError("damaged")
    arrays = unpack(orbax().restore(path.with_suffix("").absolute()), about["layout"])
    return from_arrays(arrays, like, about["step"], about["seconds"])


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
        for path in self.candidates():
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
        waited = time.monotonic() - self.saved
        return self.every >= 0 and pause <= waited and run.step < self.train.steps and run.bad_step < 0

    def note(self, run: Run) -> None:
        """Saves a run that goes on, in place of what was saved before."""
        begun = time.monotonic()
        if self.write(self.folder, run):
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
        shutil.rmtree(self.folder, ignore_errors=True)
