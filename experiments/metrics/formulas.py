"""Formulas over the layers or sublayers of a model. Arrays in, one number out; 0/0 and the like come out as NaN.

V (S+1,) is the mean square of the stream after k of S sublayers, R (S+1,) the share of it that differs between tokens,
turn (S,) 1 - cos of the centred stream before and after a sublayer; gradients (L,) are Frobenius norms per layer.
"""

import numpy as np

from experiments.statistics import line

START = 4  # a power law in depth is fitted from here on
FLOOR = 3e-7  # a rank residual below this is float32's rounding


def power(y: np.ndarray) -> float:
    """The slope of ln y_k on ln k, k >= 4."""
    k = np.arange(START, len(y))
    return line(np.log(k), np.log(y[START:])).slope


def ratio(y: np.ndarray) -> float:
    """last/first."""
    return y[-1] / y[0]


def tilt(y: np.ndarray) -> float:
    """|ln(last/first)|."""
    return abs(np.log(ratio(y)))


def variation(y: np.ndarray) -> float:
    """SD/mean, the SD with 1/L."""
    return y.std() / y.mean()


def linear_error(v: np.ndarray) -> float:
    """max over k >= 8 of |V_k/(V_0 + k) - 1|: a normalised branch adds 1 (CogView, Ding et al. 2021)."""
    k = np.arange(8, len(v))
    return np.abs(v[8:] / (v[0] + k) - 1).max()


def linear_r2(v: np.ndarray) -> float:
    """R² of V_k on k."""
    return line(np.arange(len(v)), v).r2


def bounds(v: np.ndarray, entropy: np.ndarray) -> float:
    """The largest violation of V_0 + l/2 <= V <= V_0 + 3l/2 after l layers; 0 where it holds.

    Lemma 2 of Xiong et al. 2020 (arXiv 2002.04745) with V_0 for 1; layers are counted by their attention.
    """
    per_layer = v[:: max((len(v) - 1) // len(entropy), 1)]
    grown, layers = per_layer - v[0], np.arange(len(per_layer))
    return max((layers / 2 - grown).max(), (grown - 3 * layers / 2).max())  # both are 0 at layer 0


def level_error(turn: np.ndarray, branch: np.ndarray, v: np.ndarray) -> float:
    """mean(turn)/mean(1 - 1/√(1 + σ²)) - 1 with σ² = branch_k/V_k (ResiDual, Xie et al. 2023, of Post-LN)."""
    return turn.mean() / np.mean(1 - 1 / np.sqrt(1 + branch / v[:-1])) - 1


def collapse(r: np.ndarray) -> float:
    """min of ln R_{k+1}/ln R_k over pairs with R_k < 0.3 and R_{k+1} > 3e-7 (Dong et al. 2021: towards 3).

    NaN where no pair is there.
    """
    pairs = (r[:-1] < 0.3) & (r[1:] > FLOOR)
    return (np.log(r[1:][pairs]) / np.log(r[:-1][pairs])).min() if pairs.any() else float("nan")


def per_layer_growth(v: np.ndarray, entropy: np.ndarray) -> float:
    """ln(‖x_S‖/‖x_0‖)/L of L layers (OLMo 2, arXiv 2501.00656, section 3)."""
    return np.log(ratio(v)) / 2 / len(entropy)


def per_layer_gradient_growth(gradient: np.ndarray) -> float:
    """ln(first/last)/(L - 1): how a gradient grows on its way down from the last layer to the first."""
    return -np.log(ratio(gradient)) / (len(gradient) - 1)


def identity_error(v: np.ndarray, turn: np.ndarray) -> float:
    """max over k of |V_k/V_0 - 1| and of |turn_k|: 0 for a stack that is the identity."""
    return max(np.abs(v / v[0] - 1).max(), np.abs(turn).max())


def largest(arrays: list[np.ndarray] | np.ndarray) -> float:
    """max |entry| of an array, or of all arrays of a list."""
    return max(np.abs(array).max() for array in (arrays if isinstance(arrays, list) else [arrays]))
