"""The residual stream that is threaded through a stack: open it, step it through every sublayer, close it.

A stream is the pytree that the layer scan carries. Here the stream is one array, and its step is the formula of
`flax_tx.wiring`. A placement that needs more than one array is another class with the same three parts.
"""

import flax.linen as nn
import jax.numpy as jnp

from flax_tx.diagnostics import cosine, observe, rms
from flax_tx.layers import Normalize
from flax_tx.schema import Model
from flax_tx.wiring import WIRINGS, Learned


class Step(nn.Module):
    """x' = main(skip_gain * x + branch_gain * branch(f(pre_gain * pre(x)))), the slots and gains of the wiring's row.

    x: (T, D) -> (T, D). `numbers` holds this sublayer's gains, scalars; `blockwide` the gains that a block shares.
    """

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, sublayer, numbers: dict, blockwide: dict):
        y = self.gain("pre", self.norm("pre", x_TxD), numbers, blockwide)
        branch = self.gain("branch", self.norm("branch", sublayer(y)), numbers, blockwide)
        observe(self, "stream_rms", lambda: rms(x_TxD))
        observe(self, "branch_rms", lambda: rms(branch))
        observe(self, "branch_to_stream", lambda: rms(branch) / rms(x_TxD))
        out = self.norm("main", self.gain("skip", x_TxD, numbers, blockwide) + branch)
        observe(self, "cosine", lambda: cosine(x_TxD, out))
        return out

    def norm(self, slot: str, x):
        """The norm of a slot, or x where the slot is empty."""
        return Normalize(self.cfg, self.cfg.norm.kind, name=f"{slot}_norm")(x) if self.cfg.holds(slot) else x

    def gain(self, name: str, x, numbers: dict, blockwide: dict):
        """x times the gain of that name, in the dtype of x, or x where the gain is one."""
        row = WIRINGS[self.cfg.wiring].gain(name)
        if isinstance(row, Learned):
            gain = blockwide.get(name)
            gain = learned(self, name, row, numbers, x.shape[-1]) if gain is None else gain
        else:
            gain = numbers.get(f"{name}_gain")
        return x if gain is None else gain.astype(x.dtype) * x


def learned(module: nn.Module, name: str, gain: Learned, numbers: dict, width: int):
    """The parameter of a learned gain: a scalar or one number per channel, from its start at this place."""
    shape = (width,) if gain.shape == "channel" else ()
    return module.param(f"{name}_gain", lambda key: jnp.full(shape, numbers[f"{name}_start"], jnp.float32))


def shared(block: nn.Module, cfg: Model, numbers: dict) -> dict:
    """The learned gains that all sublayers of a block share."""
    rows = {name: WIRINGS[cfg.wiring].gain(name) for name in ("pre", "branch", "skip")}
    return {
        name: learned(block, name, row, numbers, cfg.width)
        for name, row in rows.items()
        if isinstance(row, Learned) and row.per == "block"
    }


def open_stream(x_TxD):
    """The stream before the first block."""
    return x_TxD


def close_stream(cfg: Model, stream):
    """What the head reads: the stream after the last block, normalised where the final slot holds a norm."""
    return Normalize(cfg, cfg.norm.kind, name="final_norm")(stream) if cfg.holds("final") else stream
