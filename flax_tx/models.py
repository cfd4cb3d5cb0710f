"""Heads on a stack: a causal language model and a text classifier."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.attention import Tokens, sinusoids
from flax_tx.layers import dropout, matmul
from flax_tx.schema import Model
from flax_tx.stack import Stack


class Embedding(nn.Module):
    """tokens (B, L) -> (B*L, D): a row per token, plus positions where the config wants them."""

    cfg: Model
    vocab_size: int

    @nn.compact
    def __call__(self, tokens_BxL, scale, rate):
        cfg, (_, length) = self.cfg, tokens_BxL.shape

        def init(key, shape):
            return scale * jax.random.normal(key, shape)

        x_BxLxD = self.param("embedding", init, (self.vocab_size, cfg.width))[tokens_BxL]
        if cfg.positions == "learned":
            x_BxLxD += self.param("positions", init, (length, cfg.width))
        if cfg.positions == "sinusoidal":
            x_BxLxD += sinusoids(length, cfg.width)
        x_TxD = x_BxLxD.reshape(-1, cfg.width).astype(cfg.dtype)
        return dropout(self, x_TxD, cfg.dropout.embedding > 0, rate)


class Head(nn.Module):
    """Logits: x @ kernel, (N, D) -> (N, V) in float32, the kernel drawn from N(0, 1/D)."""

    outputs: int

    @nn.compact
    def __call__(self, x_NxD):
        init = nn.initializers.normal(x_NxD.shape[-1] ** -0.5)
        return matmul(x_NxD, self.param("kernel", init, (x_NxD.shape[-1], self.outputs), jnp.float32))


class Transformer(nn.Module):
    """Logits in float32: (B*L, outputs) for a language model, (B, outputs) for a classifier.

    A classifier averages the closed stream over the tokens that are not padding.
    """

    cfg: Model
    task: str  # "lm" or "classify"
    vocab_size: int
    outputs: int

    @nn.compact
    def __call__(self, tokens_BxL, numbers: dict, mask_BxL=None):
        cfg = self.cfg
        causal = self.task == "lm" if cfg.causal is None else cfg.causal
        tokens = Tokens(tokens_BxL.shape, causal, mask_BxL)
        embed = Embedding(cfg, self.vocab_size, name="embed")
        x_TxD = embed(tokens_BxL, numbers["embed_scale"], numbers["dropout"]["embedding"])
        x_TxD = Stack(cfg, name="stack")(x_TxD, numbers["segments"], tokens)
        if self.task == "classify":
            x_TxD = pool(x_TxD, tokens)
        return Head(self.outputs, name="head")(x_TxD.astype(jnp.float32))


def pool(x_TxD, tokens: Tokens):
    """(B, D): the mean over the tokens of a sequence that are not padding, in float32."""
    x_BxLxD = x_TxD.reshape(*tokens.shape, -1).astype(jnp.float32)
    if tokens.mask_BxL is None:
        return x_BxLxD.mean(axis=1)
    mask_BxLx1 = tokens.mask_BxL[..., None]
    return (x_BxLxD * mask_BxLx1).sum(axis=1) / jnp.maximum(mask_BxLx1.sum(axis=1), 1)
