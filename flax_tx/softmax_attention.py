"""softmax(QKᵀ)V and its backward pass, in the layout and order that compile to the fastest code."""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

KEPT = ("attention weights", "attended values")  # names for flax_tx.stack, which says what a backward pass keeps


def heads_first(*arrays):
    """(B, L, H, K) each -> (B, H, L, K) each."""
    return [x.transpose(0, 2, 1, 3) for x in arrays]


def attention_logits(q_BxHxLxK, k_BxHxMxK, seen, cap=None):
    """(B, H, L, M) in float32, capped at c tanh(logits/c), very low where a key may not be seen."""
    logits = jnp.einsum("bhlk,bhmk->bhlm", q_BxHxLxK, k_BxHxMxK).astype(jnp.float32)
    logits = logits if cap is None else cap * jnp.tanh(logits / cap)
    return logits if seen is None else jnp.where(seen, logits, -1e30)


def keep(weights, kept):
    """The weights times what dropout keeps; all of them for None."""
    return weights if kept is None else weights * kept


@jax.custom_vjp
def attend(q, k, v, seen, kept_BxHxLxM, cap=None):
    """softmax(QKᵀ)V, (B, L, H, K) each, the scale of the logits already in q; the weights times `kept` where they are
    dropped, the logits capped where `cap` is not None. The softmax is float32.

    The backward pass needs only the weights P and the output O: dS = P * (dP - rowsum(dO * O)) (Dao et al. 2022,
    arXiv 2205.14135, appendix B.2). Heads first, and transposing what is small behind a barrier, is what a CPU
    multiplies fastest.
    """
    return attend_forward(q, k, v, seen, kept_BxHxLxM, cap)[0]


def attend_forward(q, k, v, seen, kept_BxHxLxM, cap=None):
    q, k, v = heads_first(q, k, v)
    weights = checkpoint_name(jax.nn.softmax(attention_logits(q, k, seen, cap), axis=-1).astype(v.dtype), KEPT[0])
    out = checkpoint_name(jnp.einsum("bhlm,bhmk->bhlk", keep(weights, kept_BxHxLxM), v), KEPT[1])
    return out.transpose(0, 2, 1, 3), (q, k, v, weights, kept_BxHxLxM, cap, out)


def attend_backward(saved, g_BxLxHxK):
    q, k, v, weights, kept, cap, out = saved
    g = g_BxLxHxK.transpose(0, 2, 1, 3)
    row = (g * out).astype(jnp.float32).sum(axis=-1, keepdims=True)
    g_BxHxKxL, q_BxHxKxL = jax.lax.optimization_barrier((g.transpose(0, 1, 3, 2), q.transpose(0, 1, 3, 2)))
    dv_BxHxKxM = jnp.einsum("bhkl,bhlm->bhkm", g_BxHxKxL, keep(weights, kept))
    dweights = keep(jnp.einsum("bhlk,bhmk->bhlm", g, v), kept).astype(jnp.float32)
    dlogits = (weights * (dweights - row) * cap_slope(q, k, cap)).astype(q.dtype)
    dq = jnp.einsum("bhlm,bhmk->bhlk", dlogits, k)
    dk_BxHxKxM = jnp.einsum("bhkl,bhlm->bhkm", q_BxHxKxL, dlogits)
    no_gradient = (None, None, None)
    return dq.transpose(0, 2, 1, 3), dk_BxHxKxM.transpose(0, 3, 1, 2), dv_BxHxKxM.transpose(0, 3, 1, 2), *no_gradient


def cap_slope(q, k, cap):
    """The derivative of the capped logits by the bare ones, 1 - tanh²(logits/c); 1 without a cap."""
    return 1.0 if cap is None else 1 - jnp.square(jnp.tanh(attention_logits(q, k, None) / cap))


attend.defvjp(attend_forward, attend_backward)
