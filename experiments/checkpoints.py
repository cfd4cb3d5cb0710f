"""Cells in training, on disk: state, curves and diagnostics at the end of a chunk. Needs JAX; Orbax only when used.

    checkpoints/<cell>/<step>/      what Orbax wrote; the folder goes when the cell has a result
    checkpoints/<cell>/<step>.json  {"step", "seconds", "origin", "sha256"}, written last: without it there is none
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import growth, hosts, records
from experiments.settings import Settings
from flax_tx import train
from flax_tx.config import Config
from flax_tx.errors import UserError


@dataclass
class Run:
    """A cell in training after `step` steps: its state, the metrics of its chunks, and the diagnostics after each."""

    state: train.State
    rows: list[dict]
    layers: list[tuple[int, dict]]
    step: int = 0
    seconds: float = 0.0  # of training, in earlier launches

    def curves(self) -> dict[str, np.ndarray]:
        """Name -> (step,)."""
        return {name: np.concatenate([row[name] for row in self.rows]) for name in self.rows[0]}

    def arrays(self) -> dict[str, np.ndarray | jax.Array]:
        """All that a checkpoint holds, by name; an array of no element says nothing and cannot be written."""
        leaves = jax.tree.leaves(self.state)
        state = {f"state_{i}": leaf if split(leaf) else np.asarray(leaf) for i, leaf in enumerate(leaves)}
        curves = {f"curve_{name}": curve for name, curve in self.curves().items()}
        diagnosed = {"at": [step for step, _ in self.layers]} if self.layers else {}
        for name in self.layers[0][1] if self.layers else ():
            diagnosed[name] = [np.asarray(found[name]) for _, found in self.layers]
        layers = {f"layer_{name}": np.stack(column) for name, column in diagnosed.items()}
        return {name: array for name, array in (state | curves | layers).items() if array.size}


def split(leaf: Any) -> bool:
    """Whether an array lies on several devices."""
    return isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1


def from_arrays(arrays: dict[str, np.ndarray], like: train.State, step: int, seconds: float) -> Run:
    """The inverse of Run.arrays. `like`: a state of the same program. Raises: KeyError, ValueError for another's."""
    leaves, tree = jax.tree.flatten(like)
    kept = [arrays[f"state_{i}"] if leaf.size else np.asarray(leaf) for i, leaf in enumerate(leaves)]
    if any(new.shape != leaf.shape or new.dtype != leaf.dtype for new, leaf in zip(kept, leaves, strict=True)):
        raise ValueError("the arrays of another model")
    curves, layers = ({n[6:]: a for n, a in arrays.items() if n.startswith(kind)} for kind in ("curve_", "layer_"))
    at = layers.pop("at", ())
    diagnosed = [(int(at[i]), {name: column[i] for name, column in layers.items()}) for i in range(len(at))]
    placed = jax.device_put(kept, [leaf.sharding for leaf in leaves])
    return Run(jax.tree.unflatten(tree, placed), [curves], diagnosed, step, seconds)


def save(folder: Path, run: Run, origin: dict) -> None:
    """Writes a checkpoint, in place of what an earlier try left of it."""
    from orbax import checkpoint as orbax  # a second of imports that only long cells need

    target = (folder / str(run.step)).absolute()
    if hosts.first():
        folder.mkdir(parents=True, exist_ok=True)
        clear(folder, lambda step: step == target.name)
    with orbax.StandardCheckpointer() as writer:
        writer.save(target, run.arrays())
    if hosts.first():
        about = {"step": run.step, "seconds": run.seconds, "origin": origin, "sha256": digest(target)}
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
    from orbax import checkpoint as orbax

    folder, leaves = path.with_suffix("").absolute(), enumerate(jax.tree.leaves(like))
    lies = {f"state_{i}": leaf.sharding for i, leaf in leaves if split(leaf)}
    with orbax.StandardCheckpointer() as reader:
        held = reader.metadata(folder).item_metadata
        wanted = {n: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=lies.get(n)) for n, a in held.items()}
        arrays = reader.restore(folder, wanted)
    return from_arrays(arrays, like, about["step"], about["seconds"])


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
        self.train, self.every, self.saved = config.train, settings.checkpoint_seconds, time.monotonic()

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

    def note(self, run: Run, seconds: float) -> None:
        """Saves a run that goes on after this chunk, if it is time. `seconds`: of training, up to here."""
        due = hosts.agreed(0 <= self.every <= time.monotonic() - self.saved)
        if due and run.step < self.train.steps and int(run.state.bad_step) < 0:
            if self.write(self.folder, run, seconds) and hosts.first():
                clear(self.folder, lambda step: step != str(run.step))
            self.saved = time.monotonic()

    def write(self, folder: Path, run: Run, seconds: float) -> bool:
        """Saves a run; what goes wrong with that is a line in the log, not the end of the cell."""
        try:
            save(folder, Run(run.state, run.rows, run.layers, run.step, seconds), self.origin)
            return True
        except (OSError, ValueError) as error:
            print(f"{folder}: no checkpoint: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            return False

    def keep(self, run: Run, seconds: float) -> None:
        """Saves the last state, where that was asked for and a longer cell can go on from it."""
        if self.settings.keep_state and self.states and int(run.state.bad_step) < 0:
            self.write(self.states, run, seconds)

    def end(self) -> None:
        """The cell has a result: its checkpoints go."""
        if hosts.first():
            shutil.rmtree(self.folder, ignore_errors=True)
