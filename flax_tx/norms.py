"""Every normalisation: a formula over the last axis, in float32, and what it learns after the formula.

A formula takes and gives an array of NumPy or of JAX, so that it can be planned without JAX and checked in float64.
To add a norm, add a function and its row in NORMS.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Norm:
    """A row: the formula (x: (..., D), eps) -> (..., D), and whether a scale and a bias follow by custom."""

    formula: Callable
    scale: bool = True
    bias: bool = False


def layer_norm(x, eps: float):
    """(x - mean(x)) / sqrt(var(x) + eps), the variance in two passes (Ba et al. 2016, eq. 3).

    The result has mean 0 and variance var/(var + eps), whatever the shift and scale of x.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    return rms_norm(centred, eps)


def rms_norm(x, eps: float):
    """x / sqrt(mean(x²) + eps) (Zhang & Sennrich 2019, eq. 4). The result has mean square ms/(ms + eps)."""
    return x / ((x * x).mean(axis=-1, keepdims=True) + eps) ** 0.5


def identity(x, eps: float):
    """x: the arm without normalisation."""
    return x


NORMS: dict[str, Norm] = {
    "layernorm": Norm(layer_norm, bias=True),
    "rmsnorm": Norm(rms_norm),
    "none": Norm(identity, scale=False),
}


def learns(norm, kind: str) -> tuple[bool, bool]:
    """Whether a norm of that kind has a scale and a bias: as the config's `norm` says, else as is its custom."""
    row = NORMS[kind]
    asked = (row.scale if norm.scale is None else norm.scale, row.bias if norm.bias is None else norm.bias)
    return (False, False) if kind == "none" else asked
