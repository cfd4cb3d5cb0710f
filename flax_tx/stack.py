"""Depth: segments of equal blocks, each one scan over stacked parameters (leading axis = layer)."""

import flax.linen as nn

from flax_tx import streams
from flax_tx.attention import Tokens
from flax_tx.block import Block
from flax_tx.config import blocks
from flax_tx.schema import Model


class Stack(nn.Module):
    """x: (T, D) -> (T, D) through every segment. A shallow segment is unrolled when compiled, a deep one a loop:
    same parameters, same initial values, same results."""

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, segments: list[dict], tokens: Tokens):
        stream = streams.open_stream(x_TxD)
        for index, (block, numbers) in enumerate(zip(blocks(self.cfg), segments, strict=True)):
            layers = scan(block)(block, name=f"segment_{index}")
            stream, _ = layers(stream, numbers["layers"], numbers["dropout"], tokens)
        return streams.close_stream(self.cfg, stream)


def scan(block: Model):
    """Block lifted over a leading layer axis of parameters, statistics and numbers."""
    return nn.scan(
        Block,
        variable_axes={"params": 0, "diagnostics": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=(0, nn.broadcast, nn.broadcast),
        length=block.num_layers,
        unroll=block.num_layers if block.num_layers <= block.unroll else 1,
        check_constancy_invariants=False,
    )
