"""A cell in training, as arrays: its state, the metrics of its chunks, and the diagnostics after each. Needs JAX."""

from dataclasses import dataclass

import jax
import numpy as np

from experiments.arrays import split
from flax_tx import train


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


def lies(like: train.State) -> dict[str, jax.sharding.Sharding]:
    """How the arrays of a run lie that are split over devices, by the names of Run.arrays."""
    leaves = enumerate(jax.tree.leaves(like))
    return {f"state_{i}": leaf.sharding for i, leaf in leaves if split(leaf) and leaf.size}


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
