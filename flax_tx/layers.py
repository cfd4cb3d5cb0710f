"""What every block is made of: a kernel with its initial scale, a norm, and dropout, each a few lines of Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from flax_tx.initializers import SCHEMES
from flax_tx.norms import NORMS, learns
from flax_tx.schema import Model


class Normalize(nn.Module):
    """The norm called `kind` over the last axis, in float32, then scale and bias, then the compute dtype.

    x: (..., D) -> (..., D). The scale starts at 1, the bias at 0; eps is the config's for every norm.
    """

    cfg: Model
    kind: str

    @nn.compact
    def __call__(self, x):
        y = NORMS[self.kind].formula(x.astype(jnp.float32), self.cfg.norm.eps)
        scale, bias = learns(self.cfg.norm, self.kind)
        if scale:
            y = y * self.param("scale", nn.initializers.ones, x.shape[-1:], jnp.float32)
        if bias:
            y = y + self.param("bias", nn.initializers.zeros, x.shape[-1:], jnp.float32)
        return y.astype(self.cfg.dtype)


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

    The kernel is normal with the standard deviation of the config's scheme times `gain`, the bias starts at 0.
    """

    cfg: Model
    features: int

    @nn.compact
    def __call__(self, x_TxI, gain=1.0):
        def init(key, shape):
            return SCHEMES[self.cfg.init].sd(*shape) * gain * jax.random.normal(key, shape, jnp.float32)

        kernel = self.param("kernel", init, (x_TxI.shape[-1], self.features)).astype(self.cfg.dtype)
        y_TxO = matmul(x_TxI.astype(self.cfg.dtype), kernel)
        if self.cfg.bias:
            y_TxO += self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32).astype(self.cfg.dtype)
        return y_TxO


def dropout(module: nn.Module, x, on: bool, rate):
    """x with a share `rate` (a traced number) of its entries zero and the others divided by 1 - rate; x when not on."""
    if not (on and module.has_rng("dropout")):
        return x
    keep = jax.random.bernoulli(module.make_rng("dropout"), 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate).astype(x.dtype), 0)
