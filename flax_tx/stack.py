"""Depth: runs of equal blocks, each one scan over stacked parameters (leading axis = layer)."""

import flax.linen as nn
import jax

from flax_tx.attention import open_memory
from flax_tx.block import Block
from flax_tx.config import blocks
from flax_tx.layout import steps
from flax_tx.schema import Model
from flax_tx.softmax_attention import KEPT
from flax_tx.streams import stream_of
from flax_tx.sublayer import Tokens


class Stack(nn.Module):
    """x: (T, D) -> (T, D) through every run. A shallow run is unrolled when compiled, a deep one a loop:
    same parameters, same initial values, same results. `key` draws the kernels, at initialisation."""

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, numbers: dict, tokens: Tokens, key=None):
        runs = blocks(self.cfg)
        cross = tokens.source_TxD is not None
        length = sum(block.num_layers * len(steps(block.layout, block.num_ffn, cross)) for block in runs)
        stream = stream_of(self.cfg)
        carry = stream.open(self.cfg, x_TxD, length), open_memory(runs[0], x_TxD)
        for index, (block, run) in enumerate(zip(runs, numbers["runs"], strict=True)):
            groups = block.num_layers // block.tie
            layers = jax.tree.map(lambda a, n=groups: a.reshape(n, -1, *a.shape[1:]), run["layers"])
            keys = (
                None if key is None else jax.vmap(lambda i: jax.random.fold_in(key, i))(layers["layer"]["layer"][:, 0])
            )
            carry, _ = scan(block, groups)(block, name=f"segment_{index}")(carry, layers, keys, run["common"], tokens)
        return stream.close(self.cfg, name="close")(carry[0], numbers["close"])


def scan(block: Model, groups: int):
    """Block lifted over a leading layer axis of parameters, statistics and numbers.

    What is to be computed again is a loop at any depth: unrolled, the compiler would find that it has it already.
    """
    unrolled = groups * block.tie <= block.unroll and block.remat == "none"
    again = Block if unrolled else nn.remat(Block, prevent_cse=False, policy=KEEPS[block.remat])
    return nn.scan(
        again,
        variable_axes={"params": 0, "diagnostics": 0, "probes": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=(0, 0, nn.broadcast, nn.broadcast),
        length=groups,
        unroll=groups if unrolled else 1,
        check_constancy_invariants=False,
    )


PRODUCTS = jax.checkpoint_policies.dots_with_no_batch_dims_saveable

# What the backward pass of a loop keeps of each block; the rest it computes again (Chen et al. 2016, arXiv 1604.06174).
# A loop writes down what it keeps, layer by layer, which takes longer than norms and activations do.
KEEPS = {
    "none": jax.checkpoint_policies.save_from_both_policies(
        PRODUCTS, jax.checkpoint_policies.save_only_these_names(*KEPT)
    ),
    "dots": PRODUCTS,
    "block": jax.checkpoint_policies.nothing_saveable,
}
