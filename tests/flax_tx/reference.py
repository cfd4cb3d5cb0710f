"""The transformer as its papers write it: NumPy in float64, one head at a time, written apart from flax_tx.

Parameters are nested dicts, {"query": {"kernel": (in, out), "bias": (out,)}, ...}; x is (B, L, D).
"""

import numpy as np


def layer_norm(x, eps):
    """Ba et al. 2016, eq. 3: g / sigma (a - mu), here without the gain."""
    mu = np.mean(x, axis=-1, keepdims=True)
    sigma2 = np.mean((x - mu) ** 2, axis=-1, keepdims=True)
    return (x - mu) / np.sqrt(sigma2 + eps)


def rms_norm(x, eps):
    """Zhang & Sennrich 2019, eq. 4: a / RMS(a)."""
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps)


def norm(p, x, kind="layernorm", eps=1e-6):
    """A norm with its learned scale and bias, where it has them."""
    y = {"layernorm": layer_norm, "rmsnorm": rms_norm}[kind](x, eps)
    return y * p.get("scale", 1.0) + p.get("bias", 0.0)


def affine(p, x):
    return x @ p["kernel"] + p.get("bias", 0.0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def turn(x_BxLxK):
    """Su et al. 2021: the complex number x_i + i x_{i + K/2} of position t times exp(i t theta_i)."""
    length, half = x_BxLxK.shape[1], x_BxLxK.shape[2] // 2
    theta = 10000.0 ** (-2.0 * np.arange(half) / (2 * half))
    z = (x_BxLxK[..., :half] + 1j * x_BxLxK[..., half:]) * np.exp(1j * np.outer(np.arange(length), theta))
    return np.concatenate([z.real, z.imag], axis=-1)


def head_weights(p, q, k, causal=False, mask=None, rotary=False, qk_norm=None, eps=1e-6):
    """(logits, weights) of one head, (B, L, L): softmax(q k^T / sqrt(K)) (Vaswani et al. 2017, eq. 1)."""
    if qk_norm:
        q, k = norm(p.get("query_norm", {}), q, qk_norm, eps), norm(p.get("key_norm", {}), k, qk_norm, eps)
    if rotary:
        q, k = turn(q), turn(k)
    z = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    length = q.shape[1]
    if causal:
        z = np.where(np.arange(length)[None, :] <= np.arange(length)[:, None], z, -np.inf)
    if mask is not None:
        z = np.where(mask[:, None, :], z, -np.inf)
    return z, softmax(z)


def attention(p, x, heads, seen=None, **kwargs):
    """Concat(head_1, ..., head_h) W_O; `seen` is a list that receives (logits, weights) of every head."""
    q, k, v = (affine(p[name], x) for name in ("query", "key", "value"))
    width, mixed = q.shape[-1] // heads, []
    for h in range(heads):
        columns = slice(h * width, (h + 1) * width)
        z, w = head_weights(p, q[..., columns], k[..., columns], **kwargs)
        mixed.append(w @ v[..., columns])
        if seen is not None:
            seen.append((z, w))
    return affine(p["out"], np.concatenate(mixed, axis=-1))


def gelu(x):
    """Hendrycks & Gimpel 2016, section 2, the tanh approximation."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def swish(x):
    return x / (1 + np.exp(-x))


def feedforward(p, x, activation="gelu"):
    """max(0, xW1)W2 and its kin (Vaswani et al. 2017, eq. 2; Shazeer 2020, eq. 6: (s(xW) * xV) W2)."""
    plain = {"relu": lambda z: np.maximum(z, 0), "gelu": gelu, "silu": swish}
    if activation in plain:
        return affine(p["out"], plain[activation](affine(p["in"], x)))
    gate = {"swiglu": swish, "geglu": gelu}[activation]
    return affine(p["out"], gate(affine(p["gate"], x)) * affine(p["in"], x))


def sublayers(p, heads, activation="gelu", **kwargs):
    """(name, function of x) for attention and every feed-forward of a block."""
    yield "attention", lambda x: attention(p["attention"], x, heads, **kwargs)
    for name in sorted(name for name in p if name.startswith("ffn_") and not name.endswith("_add")):
        yield name, lambda x, name=name: feedforward(p[name], x, activation)


def post_block(p, x, heads, kind="layernorm", eps=1e-6, **kwargs):
    """Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x))."""
    for name, f in sublayers(p, heads, **kwargs):
        x = norm(p[f"{name}_add"].get("main_norm", {}), x + f(x), kind, eps)
    return x


def pre_block(p, x, heads, kind="layernorm", eps=1e-6, trace=None, **kwargs):
    """Xiong et al. 2020, table 1: x + Sublayer(LayerNorm(x)); `trace` receives (x, branch, x') of every sublayer."""
    for name, f in sublayers(p, heads, **kwargs):
        branch = f(norm(p[f"{name}_add"].get("pre_norm", {}), x, kind, eps))
        if trace is not None:
            trace.append((x, branch, x + branch))
        x = x + branch
    return x


def every_slot_block(p, x, heads, pre, branch, skip, eps=1e-6, **kwargs):
    """The general formula with all its norms and gains: N3(skip x + branch N2(f(pre N1(x))))."""
    for name, f in sublayers(p, heads, **kwargs):
        first, second, third = (p[f"{name}_add"][f"{slot}_norm"] for slot in ("pre", "branch", "main"))
        y = f(pre * norm(first, x, eps=eps))
        x = norm(third, skip * x + branch * norm(second, y, eps=eps), eps=eps)
    return x


def cross_entropy(logits, targets):
    """(N,): -log p[target], in nats."""
    top = logits.max(axis=-1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
    return -log_p[np.arange(len(targets)), targets]
