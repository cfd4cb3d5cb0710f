"""The feed-forward sublayer: two kernels round an activation, or three when the activation is gated."""

import functools

import flax.linen as nn
import jax

from flax_tx.layers import Dense
from flax_tx.schema import ACTIVATIONS, Model

FUNCTIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=True),
    "silu": jax.nn.silu,
    "swiglu": jax.nn.silu,
    "geglu": functools.partial(jax.nn.gelu, approximate=True),
}


class FeedForward(nn.Module):
    """out(σ(in(x))), or out(σ(gate(x)) * in(x)) when gated (Shazeer 2020, eq. 6). x: (T, D) -> (T, D)."""

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, init_gain, out_gain):
        cfg = self.cfg
        activation = FUNCTIONS[cfg.activation]
        hidden = Dense(cfg, cfg.hidden_dim(), name="in")(x_TxD, init_gain)
        if ACTIVATIONS[cfg.activation]:
            hidden = activation(Dense(cfg, cfg.hidden_dim(), name="gate")(x_TxD, init_gain)) * hidden
        else:
            hidden = activation(hidden)
        return Dense(cfg, cfg.width, name="out")(hidden, init_gain * out_gain)
