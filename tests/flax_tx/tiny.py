"""What the tests of the science share: a tiny config, quick compilation, and parameters that need no init.

Whatever is compiled is kept for the whole run, by its program.
"""

import functools
import zlib

import jax
import numpy as np

from flax_tx import data, train
from flax_tx.compilation import known
from flax_tx.config import resolve, structure
from flax_tx.values import values

VOCAB, LENGTH, BATCH = 11, 8, 4
TINY = {
    "model.width": 16,
    "model.num_layers": 2,
    "model.num_heads": 2,
    "model.unroll": 1,
    "optim.learning_rate": 1e-2,
    "train.steps": 20,
    "train.batch_size": BATCH,
    "train.chunk_steps": 20,
    "data.name": "markov1",
    "data.vocab_size": VOCAB,
    "data.seq_len": LENGTH,
}
CPU = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


def config(changes=()):
    """The tiny config with these fields changed."""
    found, problems = resolve(TINY | dict(changes))
    assert not problems, problems
    return found


def cell(changes=(), **kwargs):
    """(program, values) of the tiny config with these fields changed."""
    found = config(changes)
    return program(found, **kwargs), values(found)


def program(config, task="lm", vocab_size=VOCAB, outputs=VOCAB):
    return train.Program(structure(config), task, vocab_size, outputs)


def compiled(function, **kwargs):
    """function under jit, compiled as quickly as XLA can."""
    return jax.jit(function, compiler_options=known(CPU), **kwargs)


@functools.cache
def shapes(program, numbers=None):
    """The tree of the state: shapes and types, nothing computed."""
    config = program.config
    return jax.eval_shape(functools.partial(train.init, program), values(config))


def fill(tree, seed=0):
    """Random parameters: kernels N(0, 1/fan_in), scales and gains near 1, the rest near 0; equal paths, equal draws."""

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        noise = np.random.default_rng([zlib.crc32(name.encode()), seed]).normal(size=leaf.shape)
        if name.endswith("kernel']"):
            noise /= leaf.shape[-2] ** 0.5
        elif not name.endswith("embedding']"):
            noise *= 0.3
        return np.float32(noise + any(name.endswith(f"{kind}']") for kind in ("scale", "gain")))

    return jax.tree_util.tree_map_with_path(draw, tree)


def params(program, seed=0):
    """`fill` for the parameters of a program."""
    return fill(shapes(program).params, seed)


@functools.cache
def batch(rows=BATCH, length=LENGTH, seed=0):
    """Random tokens and targets."""
    tokens = np.random.default_rng(seed).integers(0, VOCAB, (rows, length + 1), np.int32)
    return {"inputs": tokens[:, :-1], "targets": tokens[:, 1:]}


def stream(seed=0, size=400):
    """A corpus in memory, for batches that are cheap to draw."""
    return {"train": np.random.default_rng(seed).integers(0, VOCAB, size).astype(np.uint8)}


@functools.cache
def init(program):
    """values -> State"""
    return compiled(functools.partial(train.init, program))


@functools.cache
def chunk(program):
    """(values, arrays, state, steps) -> (State, rows)"""
    return compiled(functools.partial(train.chunk, program))


@functools.cache
def logits(program):
    """(params, values, batch) -> logits, in evaluation mode"""

    def apply(params, numbers, batch):
        return train.apply(program, params, numbers, batch)

    return compiled(apply)


@functools.cache
def loss(program):
    """(params, values, batch, seed) -> (what is minimised, cross-entropy), in training mode"""

    def apply(params, numbers, batch, seed=0):
        total, (loss, _) = train.loss_and_statistics(program, params, numbers, batch, jax.random.key(seed), False)
        return total, loss

    return compiled(apply)


@functools.cache
def gradients(program, collect=False):
    """(params, values, batch, seed) -> ((cross-entropy, what was sown), gradients)"""

    def apply(params, numbers, batch, seed=0):
        def objective(params):
            return train.loss_and_statistics(program, params, numbers, batch, jax.random.key(seed), collect)

        (_, extra), grads = jax.value_and_grad(objective, has_aux=True)(params)
        return extra, grads

    return compiled(apply)


@functools.cache
def load(data_config):
    """The arrays of a data set, read once."""
    return data.load(data_config)


def same(a, b):
    """Whether two trees are equal to the bit."""
    left, right = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (a, b))
    if [path for path, _ in left] != [path for path, _ in right]:
        return False
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for (_, x), (_, y) in zip(left, right, strict=True))


def wide(tree):
    """A tree in float64."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def slope(function, tree, direction, step=1e-5):
    """The directional derivative of a scalar function of a tree, by central differences in float64."""
    there, back = (jax.tree.map(lambda x, d, h=h: x + h * d, tree, direction) for h in (step, -step))
    return (function(there) - function(back)) / (2 * step)


def check_gradients(grads, function, tree, seed=0, rtol=2e-5):
    """Every leaf of `grads` against central differences of `function` along a random direction in that leaf."""
    leaves, treedef = jax.tree.flatten(tree)
    rng = np.random.default_rng(seed)
    for index, (grad, leaf) in enumerate(zip(jax.tree.leaves(grads), leaves, strict=True)):
        direction = [np.zeros_like(other) for other in leaves]
        direction[index] = rng.normal(size=leaf.shape)
        expected = slope(function, tree, treedef.unflatten(direction))
        found = np.sum(np.asarray(grad, np.float64) * direction[index])
        size = np.linalg.norm(grad) * np.linalg.norm(direction[index])
        assert abs(found - expected) <= rtol * max(size, 1), jax.tree.unflatten(treedef, range(len(leaves)))
