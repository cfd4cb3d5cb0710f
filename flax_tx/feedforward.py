"""The feed-forward sublayer: two kernels round an activation, or three when the activation is gated."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.layers import Dense, Normalize, Start
from flax_tx.schema import ACTIVATIONS, Model
from flax_tx.sharding import constrain
from flax_tx.sublayer import Knobs, Tokens

FUNCTIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=True),
    "silu": jax.nn.silu,
    "swiglu": jax.nn.silu,
    "geglu": functools.partial(jax.nn.gelu, approximate=True),
}


class FeedForward(nn.Module):
    """out(σ(in(x))), or out(σ(gate(x)) * in(x)) when gated (Shazeer 2020, eq. 6). (x: (T, D), memory) -> the same.

    With an inner norm, out(N(·)) (NormFormer, Sub-LN). With kernels on the sphere, what enters the activation is
    scaled by √D and a learned scale (nGPT, eq. 20, 21).
    """

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, memory: dict, tokens: Tokens, knobs: Knobs):
        cfg, start = self.cfg, knobs.start
        activation = FUNCTIONS[cfg.activation]
        if ACTIVATIONS[cfg.activation]:
            hidden = activation(self.read("gate", x_TxD, start)) * self.read("in", x_TxD, start)
        else:
            hidden = activation(self.read("in", x_TxD, start))
        if cfg.holds("inner", "ffn"):
            hidden = Normalize(cfg, cfg.norm.kind, name="inner_norm")(hidden)
        return Dense(cfg, cfg.width, "ffn.out", name="out")(hidden, start), memory

    def read(self, name: str, x_TxD, start: Start):
        """(T, F): x times the kernel of that name."""
        cfg = self.cfg
        hidden = constrain(Dense(cfg, cfg.hidden_dim(), f"ffn.{name}", name=name)(x_TxD, start), "batch", "mlp")
        if cfg.reparam != "sphere":
            return hidden
        scale = self.param(f"{name}_scale", nn.initializers.ones, hidden.shape[-1:], jnp.float32)
        return hidden * (scale * cfg.width**0.5).astype(hidden.dtype)
