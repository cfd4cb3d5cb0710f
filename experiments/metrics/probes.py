"""Numbers of probes.parquet: of a model before its first step, and of what it has become after its last."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.metrics import formulas
from experiments.metrics.curves import number
from experiments.metrics.formulas import largest
from experiments.metrics.metric import Metric, of
from experiments.metrics.summary import LOSS

OUT = "gradient.ffn_*.out"  # the last of them is that of the last feed-forward sublayer of a layer
ROLES = {
    "attention_query": "attention.query",
    "attention_key": "attention.key",
    "attention_value": "attention.value",
    "attention_out": "attention.out",
    "ffn_in": "ffn_*.in",
    "ffn_out": "ffn_*.out",
}


def branch_gradient(probes: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """The largest Frobenius norm, over layers, of the gradient of a parameter inside a sublayer."""
    inside = ("gradient.attention.", "gradient.cross.", "gradient.ffn_")
    found = [array for name, array in probes.items() if name.startswith(inside) and "_add." not in name]
    return float(largest(found)) if found else float("nan")


def effective_depth(probes: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """How many layers cost more than 5 % of the progress H1 - validation loss when one of them is deleted.

    NaN for a model without progress.
    """
    progress = number(row, "unigram_loss") - number(row, "val_loss")
    if "layer_loss" not in probes or not progress > 0:
        return float("nan")
    return float((probes["layer_loss"] > 0.05 * progress).sum())


def scalar(name: str):
    """The probe that is one number."""
    return of(lambda array: array[0], name)


def on(formula, *names: str, least: int = 1):
    """The formula of the last array of each list, of each other array."""
    return of(lambda *found: formula(*(x[-1] if isinstance(x, list) else x for x in found)), *names, least=least)


STREAM = {
    "stream_growth": ("stream mean square at the end", "V₀", ".2f", on(formulas.ratio, "stream")),
    "stream_added": ("stream mean square added", "mean square", ".3g", of(lambda v: v[-1] - v[0], "stream")),
    "branch_sum": ("sum of the branches' mean squares", "mean square", ".3g", of(lambda f: f.sum(), "branch")),
    "stream_linear_error": (
        *("largest |V_k/(V₀ + k) - 1|, k ≥ 8", "ratio", ".3f"),
        of(formulas.linear_error, "stream", least=9),
    ),
    "stream_linear_r2": ("R² of V_k on k", "share", ".4f", of(formulas.linear_r2, "stream", least=3)),
    "stream_power": ("exponent of V_k in k", "d ln V/d ln k", ".2f", of(formulas.power, "stream", least=7)),
    "stream_bounds": (
        *("largest violation of V₀ + l/2 ≤ V ≤ V₀ + 3l/2", "mean square", ".3f"),
        of(formulas.bounds, "stream", "attention_entropy"),
    ),
    "stream_span": ("largest over smallest V_k", "ratio", ".2f", of(lambda v: v.max() / v.min(), "stream")),
    "turn_power": ("exponent of 1 - cos in k", "d ln turn/d ln k", ".2f", of(formulas.power, "turn", least=7)),
    "turn_level_error": (
        *("mean 1 - cos over 1 - 1/√(1 + σ²), minus 1", "ratio", ".3f"),
        of(formulas.level_error, "turn", "branch", "stream"),
    ),
    "spread_end": ("rank residual R_S", "share", ".3g", of(lambda r: r[-1], "spread")),
    "spread_4": ("rank residual R₄", "share", ".3g", of(lambda r: r[4], "spread", least=5)),
    "spread_change": ("largest |R_k/R₀ - 1|", "ratio", ".3g", of(lambda r: largest(r / r[0] - 1), "spread")),
    "collapse_power": ("smallest ln R_k+1/ln R_k", "ratio", ".2f", of(formulas.collapse, "spread", least=2)),
    "own_share_end": ("corr² of the stream with the last branch", "share", ".3g", of(lambda o: o[-1], "own_share")),
    "growth_exponent": (
        *("growth of the stream's RMS per layer", "ln per layer", ".3f"),
        of(formulas.per_layer_growth, "stream", "attention_entropy"),
    ),
    "identity_error": (
        *("largest |V_k/V₀ - 1| or 1 - cos", "ratio", ".1e"),
        of(formulas.identity_error, "stream", "turn"),
    ),
}
GRADIENTS = {
    "grad_last": ("gradient of the last ffn kernel", "norm", ".3g", on(lambda g: g[-1], OUT)),
    "grad_first": ("gradient of the first layer's ffn kernel", "norm", ".3g", on(lambda g: g[0], OUT)),
    "grad_profile": ("gradient, last/first layer", "ratio", ".2f", on(formulas.ratio, OUT)),
    "grad_cv": ("gradient, SD/mean over layers", "ratio", ".3f", on(formulas.variation, OUT)),
    "gradient_growth_exponent": (
        *("growth of the gradient per layer, downwards", "ln per layer", ".3f"),
        on(formulas.per_layer_gradient_growth, OUT, least=2),
    ),
    "qv_gradient": (
        *("gradient of the last query over value kernel", "ratio", ".2e"),
        of(lambda q, v: q[-1] / v[-1], "gradient.attention.query", "gradient.attention.value"),
    ),
    "branch_gradient": ("largest gradient of a sublayer", "norm", ".1e", branch_gradient),
    "gain_gradient": ("largest gradient of a gain", "norm", ".1e", of(largest, "gradient.*_gain")),
}
UPDATES = {
    "update_sgd": ("model update of an SGD step", "RMS/η", ".3g", scalar("update_sgd")),
    "update_sign": ("model update of a sign step", "RMS/η", ".3g", scalar("update_sign")),
    "amplification": ("output change under noise", "mean square/ε²", ".3g", scalar("amplification")),
    "start_loss": ("loss before training", LOSS, ".3f", scalar("loss")),
}
ATTENTION = {
    "attention_entropy_start": ("attention entropy at the start", "nats", ".2f", of(np.mean, "attention_entropy")),
    "sharp_entropy": ("attention entropy, queries and keys times 10", "nats", ".2f", scalar("sharp_entropy")),
    "entropy_share": (
        *("attention entropy kept, queries and keys times 10", "share", ".3f"),
        of(lambda sharp, entropy: sharp[0] / entropy.mean(), "sharp_entropy", "attention_entropy"),
    ),
    "logit_max_start": ("largest attention logit at the start", "logit", ".2f", of(largest, "attention_logit_max")),
    "logit_rank": ("smallest rank of a head's logits", "rank", ".0f", of(np.min, "attention_rank")),
}
RADIAL = {
    f"radial_{role}": (
        f"largest |cos(W, ∂L/∂W)|, {role.replace('_', ' ')}",
        "cosine",
        ".1e",
        of(largest, f"radial.{kernel}"),
    )
    for role, kernel in ROLES.items()
}
RESCALE = {
    f"rescale_{role}": (
        f"output change when {role.replace('_', ' ')} doubles",
        "RMS",
        ".1e",
        of(largest, f"rescale.{kernel}"),
    )
    for role, kernel in ROLES.items()
}
END = {
    "layer_loss_deep": (
        *("loss of deleting a layer, mean of the deeper half", LOSS, ".4f"),
        of(lambda loss: loss[len(loss) // 2 :].mean(), "layer_loss"),
    ),
    "effective_depth": ("layers that cost over 5 % of the progress", "layers", ".1f", effective_depth),
    "angle_deep": (
        *("angle of a layer's input and output, mean of the last third", "π", ".4f"),
        of(lambda angle: angle[-max(len(angle) // 3, 1) :].mean(), "angle"),
    ),
    "head_loss_median": ("loss of removing a head, median", LOSS, ".4f", of(np.nanmedian, "head_loss")),
    "head_loss_max": ("loss of removing a head, largest", LOSS, ".4f", of(np.nanmax, "head_loss")),
}
PROBES = {
    key: Metric(name, unit, None, form, "probes", compute)
    for key, (name, unit, form, compute) in {
        **{**STREAM, **GRADIENTS, **UPDATES, **ATTENTION},
        **{**RADIAL, **RESCALE, **END},
    }.items()
}
