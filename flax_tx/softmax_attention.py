"""softmax(QKᵀ/√K)V and its backward pass, in the layout and order that compile to the fastest code."""

import jax
import jax.numpy as jnp


def heads_first(q, *others):
    """(B, L, H, K) each -> (B, H, L, K) each, the queries times 1/√K."""
    return [x.transpose(0, 2, 1, 3) for x in (q * q.shape[-1] ** -0.5, *others)]


def attention_logits(q_BxHxLxK, k_BxHxMxK, seen):
    """(B, H, L, M) in float32, very low where a key may not be seen."""
    logits = jnp.einsum("bhlk,bhmk->bhlm", q_BxHxLxK, k_BxHxMxK).astype(jnp.float32)
    return logits if seen is None else jnp.where(seen, logits, -1e30)


def keep(weights, kept):
    """The weights times what dropout keeps; all of them for None."""
    return weights if kept is None else weights * kept


@jax.custom_vjp
def attend(q, k, v, seen, kept_BxHxLxM):
    """softmax(QKᵀ/√K)V, (B, L, H, K) each; the weights times `kept` where they are dropped. The softmax is float32.

    The backward pass needs only the weights P and the output O: dS = P * (dP - rowsum(dO * O)) (Dao et al. 2022,
    arXiv 2205.14135, appendix B.2). Heads first, and transposing what is small behind a barrier, is what a CPU
    multiplies fastest.
    """
    return attend_forward(q, k, v, seen, kept_BxHxLxM)[0]


def attend_forward(q, k, v, seen, kept_BxHxLxM):
    q, k, v = heads_first(q, k, v)
    weights = jax.nn.softmax(attention_logits(q, k, seen), axis=-1).astype(v.dtype)
    out = jnp.einsum("bhlm,bhmk->bhlk", keep(weights, kept_BxHxLxM), v)
    return out.transpose(0, 2, 1, 3), (q, k, v, weights, kept_BxHxLxM, out)


def attend_backward(saved, g_BxLxHxK):
    q, k, v, weights, kept, out = saved
    g = g_BxLxHxK.transpose(0, 2, 1, 3)
    row = (g * out).astype(jnp.float32).sum(axis=-1, keepdims=True)
    g_BxHxKxL, q_BxHxKxL = jax.lax.optimization_barrier((g.transpose(0, 1, 3, 2), q.transpose(0, 1, 3, 2)))
    dv_BxHxKxM = jnp.einsum("bhkl,bhlm->bhkm", g_BxHxKxL, keep(weights, kept))
    dweights = keep(jnp.einsum("bhlk,bhmk->bhlm", g, v), kept).astype(jnp.float32)
    dlogits = (weights * (dweights - row)).astype(q.dtype)
    dq = jnp.einsum("bhlm,bhmk->bhlk", dlogits, k) * q.shape[-1] ** -0.5
    dk_BxHxKxM = jnp.einsum("bhkl,bhlm->bhkm", q_BxHxKxL, dlogits)
    return dq.transpose(0, 2, 1, 3), dk_BxHxKxM.transpose(0, 3, 1, 2), dv_BxHxKxM.transpose(0, 3, 1, 2), None, None


attend.defvjp(attend_forward, attend_backward)
