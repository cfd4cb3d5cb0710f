"""Both ends of a model: tokens to the stream, and the stream to logits."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.diagnostics import capture
from flax_tx.layers import dropout, matmul, norm_or_not, soft_cap, stored_scale
from flax_tx.positions import sinusoids
from flax_tx.reparams import unit
from flax_tx.schema import Model
from flax_tx.sharding import constrain
from flax_tx.sublayer import Tokens


class Embedding(nn.Module):
    """tokens (B, L) -> (B*L, D): a row per token, plus positions where the config wants them, then a norm.

    With `fixnorm` a row is √D w/‖w‖ (FixNorm, Nguyen & Salazar 2019, section 2.3).
    """

    cfg: Model
    vocab_size: int

    @nn.compact
    def __call__(self, tokens_BxL, numbers: dict):
        cfg, (_, length) = self.cfg, tokens_BxL.shape

        def init(key, shape):
            return numbers["embed_scale"] * jax.random.normal(key, shape)

        table_VxD = constrain(self.param("embedding", init, (self.vocab_size, cfg.width)), "vocab", None)
        x_BxLxD = (cfg.width**0.5 * unit(table_VxD, -1) if cfg.fixnorm else table_VxD)[tokens_BxL]
        if cfg.positions == "learned":
            x_BxLxD += constrain(self.param("positions", init, (length, cfg.width)), None, None)
        if cfg.positions == "sinusoidal":
            x_BxLxD += sinusoids(length, cfg.width)
        x_TxD = constrain(x_BxLxD.reshape(-1, cfg.width), "batch", None).astype(cfg.dtype)
        if (norm := norm_or_not(cfg, cfg.embed_norm, "norm")) is not None:
            x_TxD = norm(x_TxD)
        return dropout(self, x_TxD, cfg.dropout.embedding > 0, numbers["dropout"]["embedding"])


class Head(nn.Module):
    """Logits: x @ kernel, (N, D) -> (N, V) in float32, the kernel from N(0, 1/D) times the scheme's factor.

    Capped where the config has a cap; with kernels on the sphere times a learned scale (nGPT, eq. 3).
    """

    cfg: Model
    outputs: int

    @nn.compact
    def __call__(self, x_NxD, numbers: dict):
        cfg, width = self.cfg, x_NxD.shape[-1]

        def init(key, shape):
            return numbers["head_gain"] * width**-0.5 * jax.random.normal(key, shape)

        capture(self, "features", x_NxD)
        logits = constrain(matmul(x_NxD, self.param("kernel", init, (width, self.outputs))), "batch", "vocab")
        if cfg.reparam == "sphere":
            logits *= stored_scale(self, "logit_scale", (self.outputs,), width)
        return soft_cap(logits, cfg.logit_cap > 0, numbers["logit_cap"])


def every_token(x_TxD, tokens: Tokens):
    """x as it is: a prediction for every token."""
    return x_TxD


def mean_token(x_TxD, tokens: Tokens):
    """(B, D): the mean over the tokens of a sequence that are not padding, in float32."""
    x_BxLxD = x_TxD.reshape(*tokens.shape, -1).astype(jnp.float32)
    if tokens.mask_BxL is None:
        return x_BxLxD.mean(axis=1)
    mask_BxLx1 = tokens.mask_BxL[..., None]
    return (x_BxLxD * mask_BxLx1).sum(axis=1) / jnp.maximum(mask_BxLx1.sum(axis=1), 1)
