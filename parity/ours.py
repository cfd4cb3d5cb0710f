"""flax_tx as a function from stream to stream, through its public surface.

The token embedding holds the input, one token per row, and the head is the identity, so that the logits of a language
model are the stream that leaves its stack.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flax_tx import train
from flax_tx.config import resolve, structure
from flax_tx.values import values

WIDTH, HEADS, HIDDEN, LAYERS, LENGTH, BATCH = 32, 4, 48, 3, 12, 3
BASE = {
    "model.width": WIDTH,
    "model.num_heads": HEADS,
    "model.mlp_dim": HIDDEN,
    "model.num_layers": LAYERS,
    "model.positions": "none",
    "data.seq_len": LENGTH,
}


class Stack(NamedTuple):
    """A model and its numbers. Weights are a flat dict: "0/ffn_0/in/kernel" (layer 0), "final_norm/scale", and for the
    encoder of a translation "encoder/0/ffn_0/in/kernel"."""

    program: train.Program
    numbers: dict

    def tree(self):
        """The shapes of all parameters but those at both ends."""
        state = jax.eval_shape(functools.partial(train.init, self.program), self.numbers)
        return {part: leaves for part, leaves in state.params.items() if part not in ("embed", "head")}

    def __call__(self, weights: dict, x, mask_BxL=None):
        """(B, L, D) -> (B, L, D); a translation takes source and target, (2, B, L, D)."""
        width = x.shape[-1]
        ends = {"embed": {"embedding": x.reshape(-1, width)}, "head": {"kernel": jnp.eye(width)}}
        params = ends | unflatten(self.tree(), weights)
        tokens = np.arange(x.size // width, dtype=np.int32).reshape(x.shape[:-1])
        source, target = tokens if self.program.task == "translate" else (None, tokens)
        y = self.program.model().apply({"params": params}, target, self.numbers["model"], mask_BxL, source)
        return y.reshape(*target.shape, width)


def stack(task: str = "lm", **changes) -> Stack:
    """The stack of a small config with these fields of the model changed; `norm__eps` is norm.eps."""
    free = {"data.task": "classify", "model.causal": False} if task == "lm" else {"data.task": task}
    dotted = {f"model.{name.replace('__', '.')}": value for name, value in changes.items()}
    config, problems = resolve(BASE | free | dotted)
    assert not problems, problems
    tokens = BATCH * LENGTH * (2 if task == "translate" else 1)
    return Stack(train.Program(structure(config), task, tokens, WIDTH), values(config))


def names(path, leaf) -> list[str] | str:
    """What an array of the tree is called: a name per layer where it holds the layers' side by side, else one name."""
    part, run, *rest = (key.key for key in path)
    prefix = "" if part == "stack" else f"{part}/"
    if run.startswith("segment"):
        return [f"{prefix}{layer}/{'/'.join(rest)}" for layer in range(leaf.shape[0])]
    return prefix + "/".join(rest[-2:])


def flatten(tree) -> dict:
    """The weights of a tree of parameters, a layer at a time."""
    flat = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        found = names(path, leaf)
        flat |= {found: leaf} if isinstance(found, str) else dict(zip(found, leaf, strict=True))
    return flat


def unflatten(tree, weights: dict):
    """The tree of parameters of such weights."""

    def gather(path, leaf):
        found = names(path, leaf)
        return weights[found] if isinstance(found, str) else jnp.stack([weights[name] for name in found])

    return jax.tree_util.tree_map_with_path(gather, tree)


def draw(tree, seed: int = 0) -> dict:
    """Weights far from their starts: kernels N(0, 1/fan_in), all else N(0, 0.3²), about 1 where it multiplies."""
    rng = np.random.default_rng(seed)
    weights = {}
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), tree)
    for name, leaf in sorted(flatten(zeros).items()):
        noise = rng.normal(size=leaf.shape)
        if name.endswith("kernel"):
            weights[name] = np.float32(noise * leaf.shape[0] ** -0.5)
        else:
            weights[name] = np.float32(0.3 * noise + (not name.endswith(("bias", "shift"))))
    return weights
