"""Multi-head attention over flattened tokens: heads, masks, positions, norms on queries, keys and values."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.diagnostics import capture, observe
from flax_tx.layers import Dense, Normalize, dropout, norm_or_not, stored_scale
from flax_tx.methods import VALUE_RESIDUALS
from flax_tx.norms import QK_NORMS
from flax_tx.positions import rotate, visible
from flax_tx.schema import Model
from flax_tx.sharding import constrain
from flax_tx.softmax_attention import attend, attention_logits, heads_first
from flax_tx.sublayer import Knobs, Tokens


def open_memory(cfg: Model, x_TxD) -> dict:
    """What attention remembers from layer to layer: the values of the first, where they are used again."""
    if cfg.value_residual == "none":
        return {}
    return {"values": jnp.zeros((x_TxD.shape[0], cfg.kv_heads() * cfg.per_head()), cfg.dtype)}


class Attention(nn.Module):
    """softmax(QKᵀ/√K)V per head, heads joined by the output kernel (Vaswani et al. 2017, eq. 1).

    (x: (T, D), memory) -> the same. Kernels are (D, H*K), so the same seed gives the same kernels at every head
    count. With `cross`, keys and values come from the source. Fewer heads of keys and values are shared by groups of
    query heads (Ainslie et al. 2023).
    """

    cfg: Model
    cross: bool = False

    @nn.compact
    def __call__(self, x_TxD, memory: dict, tokens: Tokens, knobs: Knobs):
        cfg, batch = self.cfg, tokens.shape[0]
        read = tokens.source_TxD if self.cross else x_TxD
        q = self.project("query", x_TxD, cfg.num_heads, batch, knobs)
        k = self.project("key", read, cfg.kv_heads(), batch, knobs)
        v = self.project("value", read, cfg.kv_heads(), batch, knobs)
        v, memory = self.mix_values(v, memory, knobs)
        v = v if (norm := norm_or_not(cfg, cfg.v_norm, "value_norm")) is None else norm(v)
        q, k = self.position(*self.normalise(q, k))
        k, v = (jnp.repeat(x, cfg.num_heads // cfg.kv_heads(), axis=2) for x in (k, v))
        seen = None if self.cross else visible(tokens.shape[1], tokens.causal, tokens.mask_BxL)
        cap = knobs.attention_cap if cfg.attention_cap > 0 else None
        self.observe_weights(q, k, seen, cap)
        heads = attend(q, k, v, seen, self.kept(q, k, knobs), cap)
        return self.join(heads, x_TxD.shape[0], knobs), memory

    def project(self, name: str, x, heads: int, batch: int, knobs: Knobs):
        """(B, L, heads, K): x times the kernel of that name."""
        cfg, kind = self.cfg, "cross" if self.cross else "attention"
        y = Dense(cfg, heads * cfg.per_head(), f"{kind}.{name}", name=name)(x, knobs.start)
        return constrain(y.reshape(batch, -1, heads, cfg.per_head()), "batch", None, "heads", None)

    def normalise(self, q, k):
        """Queries and keys as qk_norm has them, the factor on the logits in the queries."""
        cfg, row = self.cfg, QK_NORMS[self.cfg.qk_norm]
        kind = cfg.norm.kind if row.kind == "norm" else row.kind
        if kind is not None:
            q, k = (self.norm_over(x, kind, name) for x, name in ((q, "query_norm"), (k, "key_norm")))
        if row.scale == "stored":
            scale = stored_scale(self, "qk_scale", q.shape[2:], cfg.width).astype(q.dtype)
            q, k = q * scale, k * scale[:: cfg.num_heads // cfg.kv_heads()]
        factor = row.factor(cfg.per_head(), q.shape[1])
        if row.learned:
            factor = self.param("temperature", nn.initializers.constant(factor), (), jnp.float32).astype(q.dtype)
        return q * factor, k

    def norm_over(self, x_BxLxHxK, kind: str, name: str):
        """A norm over each head, or over all heads at once."""
        over = x_BxLxHxK if self.cfg.qk_norm_over == "head" else x_BxLxHxK.reshape(*x_BxLxHxK.shape[:2], -1)
        return Normalize(self.cfg, kind, name=name)(over).reshape(x_BxLxHxK.shape)

    def position(self, q, k):
        """Rotary positions, where they are asked for and both sides count the same tokens."""
        return (rotate(q), rotate(k)) if self.cfg.positions == "rotary" and not self.cross else (q, k)

    def mix_values(self, v, memory: dict, knobs: Knobs):
        """λ₁ V₁ + λ₂ V_l above the first layer, V₁ from memory (ResFormer, Zhou et al. 2024, eq. 5)."""
        if self.cross or not memory:
            return v, memory
        first = jnp.where(knobs.layer == 1, v.reshape(v.shape[0] * v.shape[1], -1), memory["values"])
        row = VALUE_RESIDUALS[self.cfg.value_residual]
        shares = jnp.asarray(row.shares, jnp.float32)
        if row.learned:
            shares = self.param("value_shares", lambda key: shares)
        shares = jnp.where(knobs.layer == 1, jnp.float32([0, 1]), shares).astype(v.dtype)
        return shares[0] * first.reshape(v.shape) + shares[1] * v, {"values": first}

    def kept(self, q, k, knobs: Knobs):
        """(B, H, L, M): 0 where an attention weight is dropped, 1/(1 - rate) elsewhere; None without dropout."""
        if not (self.cfg.dropout.attention > 0 and self.has_rng("dropout")):
            return None
        shape = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
        return dropout(self, jnp.ones(shape, self.cfg.dtype), True, knobs.rates["attention"])

    def join(self, heads_BxLxHxK, tokens: int, knobs: Knobs):
        """(T, D): heads scaled or pruned, then the inner norm, then the output kernel."""
        cfg, kind = self.cfg, "cross" if self.cross else "attention"
        if cfg.head_scale:
            scale = self.param("head_scale", nn.initializers.ones, (cfg.num_heads, 1), jnp.float32)
            heads_BxLxHxK = heads_BxLxHxK * scale.astype(heads_BxLxHxK.dtype)
        if cfg.pruned_heads and not self.cross:
            heads_BxLxHxK = heads_BxLxHxK * knobs.heads_H[:, None].astype(heads_BxLxHxK.dtype)
        joined_TxI = heads_BxLxHxK.reshape(tokens, -1)
        if cfg.holds("inner", kind):
            joined_TxI = Normalize(cfg, cfg.norm.kind, name="inner_norm")(joined_TxI)
        return Dense(cfg, cfg.width, f"{kind}.out", name="out")(joined_TxI, knobs.start)

    def observe_weights(self, q, k, seen, cap):
        """The largest logit, and the mean entropy of the attention weights in nats."""

        def logit_max():
            logits = attention_logits(*heads_first(q, k), seen, cap)
            return jnp.max(jnp.where(logits > -1e29, jnp.abs(logits), 0))

        def entropy():
            weights = jax.nn.softmax(attention_logits(*heads_first(q, k), seen, cap), axis=-1)
            return jnp.mean(jax.scipy.special.entr(weights).sum(-1))

        if self.is_mutable_collection("probes"):
            capture(self, "logits", attention_logits(*heads_first(q, k), seen, cap))
            capture(self, "scores", attention_logits(*heads_first(q, k), None, cap))
        observe(self, "attention_logit_max", logit_max)
        observe(self, "attention_entropy", entropy)
