"""What every block is made of: a kernel with its initial scale, a norm, and dropout, each a few lines of Flax."""

import zlib

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from flax_tx import standardize
from flax_tx.initializers import SCHEMES
from flax_tx.norms import NORMS, learns
from flax_tx.reparams import REPARAMS
from flax_tx.schema import Model


@flax.struct.dataclass
class Start:
    """How the kernels of one layer start: gains by role, and the key of the layer.

    With a key, a kernel is drawn from (seed, layer, its name in the block) alone: the same in every placement and
    segmentation. Without one, Flax's own key draws it.
    """

    gains: dict[str, jax.Array]
    key: jax.Array | None = None

    def draw(self, key, init: str, role: str, path: str, shape: tuple[int, int]):
        """The initial kernel of a role."""
        key = key if self.key is None else jax.random.fold_in(self.key, zlib.crc32(path.encode()))
        sd = (SCHEMES[init].sd or one)(*shape) * self.gains[role]
        return sd * jax.random.normal(key, shape, jnp.float32)


def one(fan_in: int, fan_out: int) -> float:
    """The standard deviation of a scheme whose gains hold all of it."""
    return 1.0


class Normalize(nn.Module):
    """The norm called `kind` over the last axis, in float32, then scale and bias, then the compute dtype.

    x: (..., D) -> (..., D). The scale starts at 1 (one for all channels: at √D), the bias at 0; eps is the config's
    for every norm.
    """

    cfg: Model
    kind: str

    @nn.compact
    def __call__(self, x):
        norm, row, width = self.cfg.norm, NORMS[self.kind], x.shape[-1]
        knobs = {name: getattr(norm, name) for name in row.knobs}
        inside = {name: self.scalar(name, start) for name, start in row.learned}
        formula = standardize.FASTER.get(row.formula, row.formula)
        y = formula(x.astype(jnp.float32), eps=norm.eps, **knobs, **inside)
        scale, bias = learns(norm, self.kind)
        if scale:
            y = y * self.scale((width,) if scale == "channel" else (), row.start(width))
        if bias:
            y = y + self.param("bias", nn.initializers.zeros, (width,), jnp.float32)
        return y.astype(self.cfg.dtype)

    def scalar(self, name: str, start: str | float):
        """A learned number of the formula, from a field of the config's norm or a number."""
        value = getattr(self.cfg.norm, start) if isinstance(start, str) else start
        return self.param(name, nn.initializers.constant(value), (), jnp.float32)

    def scale(self, shape: tuple[int, ...], start: float):
        """The scale, stored as it is or as its distance from where it starts."""
        offset = start if self.cfg.norm.zero_centred else 0.0
        return offset + self.param("scale", nn.initializers.constant(start - offset), shape, jnp.float32)


def norm_or_not(cfg: Model, kind: str, name: str):
    """The norm that a field such as v_norm asks for ("norm": the one of the model), or None for "none"."""
    kind = cfg.norm.kind if kind == "norm" else kind
    return None if kind == "none" else Normalize(cfg, kind, name=name)


def stored_scale(module: nn.Module, name: str, shape: tuple[int, ...], width: int):
    """A learned scale from 1, stored at 1/√D, which sets its pace under Adam (nGPT, section 2.5)."""
    return module.param(name, nn.initializers.constant(width**-0.5), shape, jnp.float32) * width**0.5


@jax.custom_vjp
def matmul(x_TxI, w_IxO):
    """x @ w: (T, I) (I, O) -> (T, O), with the weight gradient taken along its longer side.

    On CPU the product (I, T) (T, O) is 1.7 times slower when I > O than its transpose, and the barrier keeps the
    compiler from turning one into the other.
    """
    return x_TxI @ w_IxO


def matmul_forward(x_TxI, w_IxO):
    return x_TxI @ w_IxO, (x_TxI, w_IxO)


def matmul_backward(saved, g_TxO):
    x_TxI, w_IxO = saved
    wide = w_IxO.shape[0] > w_IxO.shape[1]
    dw_IxO = jax.lax.optimization_barrier(g_TxO.T @ x_TxI).T if wide else x_TxI.T @ g_TxO
    return g_TxO @ w_IxO.T, dw_IxO


matmul.defvjp(matmul_forward, matmul_backward)


class Dense(nn.Module):
    """x @ kernel + bias over flattened tokens, (T, I) -> (T, O), in the compute dtype.

    The kernel starts as `Start` draws it for its role, the bias at 0. `input_bias` adds a learned scalar to x;
    `reparam` puts γ W/σ(W) in place of W.
    """

    cfg: Model
    features: int
    role: str

    @nn.compact
    def __call__(self, x_TxI, start: Start):
        cfg, dtype = self.cfg, self.cfg.dtype
        path = "/".join(self.path[-2:])
        shape = (x_TxI.shape[-1], self.features)
        w_IxO = self.param("kernel", lambda key: start.draw(key, cfg.init, self.role, path, shape))
        w_IxO = REPARAMS[cfg.reparam].kernel(self, w_IxO)
        if cfg.input_bias:
            x_TxI = x_TxI + self.param("input_bias", nn.initializers.zeros, (), jnp.float32).astype(x_TxI.dtype)
        y_TxO = matmul(x_TxI.astype(dtype), w_IxO.astype(dtype))
        if cfg.bias:
            y_TxO += self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(dtype)
        return y_TxO


def dropout(module: nn.Module, x, on: bool, rate):
    """x with a share `rate` (a traced number) of its entries zero and the others divided by 1 - rate; x when not on."""
    if not (on and module.has_rng("dropout")):
        return x
    keep = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate).astype(x.dtype), 0)


def stochastic_depth(module: nn.Module, branch_TxD, on: bool, rate, num_sequences: int):
    """The branch, zero for a share `rate` of the sequences, divided by 1 - rate for the others (Huang et al. 2016)."""
    if not (on and module.has_rng("dropout")):
        return branch_TxD
    keep_B = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, (num_sequences,))
    branch_BxN = branch_TxD.reshape(num_sequences, -1)
    return jnp.where(keep_B[:, None], branch_BxN / (1 - rate).astype(branch_TxD.dtype), 0).reshape(branch_TxD.shape)


def soft_cap(logits, on: bool, cap):
    """c tanh(logits/c) (Gemma 2, arXiv 2408.00118, section 2); the logits when not on."""
    return cap * jnp.tanh(logits / cap) if on else logits
