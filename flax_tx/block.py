"""One block: the sublayers of its layout, each added to the stream by the wiring."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.attention import Attention
from flax_tx.feedforward import FeedForward
from flax_tx.layers import Start, dropout
from flax_tx.layout import kind, steps
from flax_tx.schema import Model
from flax_tx.sharding import constrain
from flax_tx.streams import Call, shared, stream_of
from flax_tx.sublayer import Knobs, Tokens

SUBLAYERS = {
    "attention": Attention,
    "cross": functools.partial(Attention, cross=True),
    "ffn": FeedForward,
}


def pick(tree, index: int):
    """The entry of every array at an index of its first axis."""
    return jax.tree.map(lambda array: array[index], tree)


class Block(nn.Module):
    """(stream, memory) -> (stream, memory), as many times as `tie` says.

    `layers` holds the numbers of these layers, (tie, ...) each; `key` draws their kernels; `common` holds what
    all layers of the run have in common.
    """

    cfg: Model

    @nn.compact
    def __call__(self, carry, layers: dict, key, common: dict, tokens: Tokens):
        cfg = self.cfg
        order = steps(cfg.layout, cfg.num_ffn, tokens.source_TxD is not None)
        modules = {name: SUBLAYERS[kind(name)](cfg, name=name) for step in order for branch in step for name in branch}
        blockwide = shared(self, cfg, {name: start[0, 0] for name, start in layers["branch"]["start"].items()})
        adds = [
            stream_of(cfg).step(cfg, step, step is order[0], step is order[-1], name=f"{step[0][0]}_add")
            for step in order
        ]
        for repeat in range(cfg.tie):
            numbers, column = pick(layers, repeat), itertools.count()
            knobs = self.knobs(numbers["layer"], key, common)
            before = carry[0]
            for add, step in zip(adds, order, strict=True):
                own = tuple(pick(numbers["branch"], next(column)) for _ in step)
                functions = tuple(functools.partial(self.run, branch, modules, tokens, knobs) for branch in step)
                carry = add(*carry, Call(functions, own, blockwide, tokens.shape[0]))
            if cfg.pruned_layers:
                kept = numbers["layer"]["kept"]
                carry = jax.tree.map(lambda new, old, kept=kept: jnp.where(kept, new, old), carry[0], before), carry[1]
        return carry, None

    def knobs(self, layer: dict, key, common: dict) -> Knobs:
        """The numbers of one layer."""
        start = Start(layer["init"], key)
        return Knobs(start, common["rates"], common["attention_cap"], layer["heads"], layer["layer"])

    def run(self, branch: tuple[str, ...], modules: dict, tokens: Tokens, knobs: Knobs, y_TxD, memory):
        """(the sum of the sublayers of a branch at y, memory), dropout included."""
        outs, y_TxD = [], constrain(y_TxD, "batch", None)
        for name in branch:
            out, memory = modules[name](y_TxD, memory, tokens, knobs)
            out = constrain(out, "batch", None)
            outs.append(dropout(self, out, self.cfg.dropout.branch > 0, knobs.rates["branch"]))
        return sum(outs[1:], outs[0]), memory
