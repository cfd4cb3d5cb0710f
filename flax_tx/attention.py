"""Multi-head attention over flattened tokens: heads, masks, positions and qk-norm."""

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from flax_tx.diagnostics import observe
from flax_tx.layers import Dense, Normalize, dropout
from flax_tx.schema import Model
from flax_tx.softmax_attention import attend, attention_logits, heads_first


@flax.struct.dataclass
class Tokens:
    """How T = B * L flattened tokens lie in sequences, and which of them are padding."""

    shape: tuple[int, int] = flax.struct.field(pytree_node=False)  # (B, L)
    causal: bool = flax.struct.field(pytree_node=False)
    mask_BxL: jax.Array | None = None


def sinusoids(length: int, width: int) -> np.ndarray:
    """(length, width): sin and cos of t / 10000^(2i/width) (Vaswani et al. 2017, section 3.5)."""
    rates = 10_000.0 ** (-np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * rates
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)[:, :width].astype(np.float32)


def rotate(x_BxLxHxK):
    """Rotary positions: the pair (i, i + K/2) turned by t / 10000^(2i/K) (Su et al. 2021, eq. 34)."""
    length, head_dim = x_BxLxHxK.shape[1], x_BxLxHxK.shape[3]
    rates = 10_000.0 ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = (np.arange(length)[:, None] * rates)[:, None, :]
    cos, sin = (jnp.asarray(wave(angles), x_BxLxHxK.dtype) for wave in (np.cos, np.sin))
    left, right = jnp.split(x_BxLxHxK, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


class Attention(nn.Module):
    """softmax(QKᵀ/√K)V per head, heads joined by the output kernel (Vaswani et al. 2017, eq. 1).

    x: (T, D) -> (T, D). Kernels are (D, H*K), so the same seed gives the same kernels at every head count.
    """

    cfg: Model

    @nn.compact
    def __call__(self, x_TxD, tokens: Tokens, init_gain, out_gain, rate):
        cfg = self.cfg
        heads = (*tokens.shape, cfg.num_heads, cfg.inner_width() // cfg.num_heads)

        def project(name, gain=1.0):
            return Dense(cfg, cfg.inner_width(), name=name)(x_TxD, gain).reshape(heads)

        q, k, v = project("query"), project("key"), project("value", init_gain)
        if cfg.qk_norm != "none":
            q = Normalize(cfg, cfg.qk_norm, name="query_norm")(q)
            k = Normalize(cfg, cfg.qk_norm, name="key_norm")(k)
        if cfg.positions == "rotary":
            q, k = rotate(q), rotate(k)
        seen = visible(tokens)
        self.observe_weights(q, k, seen)
        mixed = attend(q, k, v, seen, self.kept(tokens, rate)).reshape(x_TxD.shape[0], -1)
        return Dense(cfg, cfg.width, name="out")(mixed, init_gain * out_gain)

    def kept(self, tokens: Tokens, rate):
        """(B, H, L, M): 0 where an attention weight is dropped, 1/(1 - rate) elsewhere; None without dropout."""
        if not (self.cfg.dropout.attention > 0 and self.has_rng("dropout")):
            return None
        batch, length = tokens.shape
        return dropout(self, jnp.ones((batch, self.cfg.num_heads, length, length), self.cfg.dtype), True, rate)

    def observe_weights(self, q, k, seen):
        """The largest logit, and the mean entropy of the attention weights in nats."""

        def logit_max():
            logits = attention_logits(*heads_first(q, k), seen)
            return jnp.max(jnp.where(logits > -1e29, jnp.abs(logits), 0))

        def entropy():
            weights = jax.nn.softmax(attention_logits(*heads_first(q, k), seen), axis=-1)
            return jnp.mean(jax.scipy.special.entr(weights).sum(-1))

        observe(self, "attention_logit_max", logit_max)
        observe(self, "attention_entropy", entropy)


def visible(tokens: Tokens):
    """Which keys a query may see, to be broadcast to (B, H, L, M); None: all of them."""
    length = tokens.shape[1]
    seen = np.tril(np.ones((length, length), bool))[None, None] if tokens.causal else None
    if tokens.mask_BxL is None:
        return seen
    padding = tokens.mask_BxL[:, None, None, :]
    return padding if seen is None else padding & seen
