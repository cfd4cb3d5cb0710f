"""Numbers of layers.parquet: statistics of every layer, at the end of every chunk of steps. Arrays (chunks, layers)."""

import numpy as np

from experiments.metrics.formulas import tilt, variation
from experiments.metrics.metric import Metric, of

STREAM = "*.stream_rms"  # of the stream that each sublayer adds to; attention comes first


def path(streams: list[np.ndarray]) -> np.ndarray:
    """(chunks, S'): the RMS of the stream before each sublayer that exists; in a layer attention comes first."""
    ordered = np.stack(streams, axis=-1)  # (chunks, layers, sublayers)
    flat = ordered.reshape(len(ordered), -1)
    return flat[:, ~np.isnan(flat).all(axis=0)]


def growth(streams: list[np.ndarray]) -> float:
    """Mean square of the stream before the last sublayer over that before the first, at the end of training."""
    end = path(streams)[-1]
    return (end[-1] / end[0]) ** 2 if len(end) else float("nan")


def gained(streams: list[np.ndarray]) -> float:
    """Mean square of the stream before the last sublayer at the last chunk over the same at the first chunk.

    Growth during the first chunk is not in it; Kim et al. 2025 (arXiv 2502.02732) start at initialisation.
    """
    last = path(streams)[:, -1:]
    return (last[-1, 0] / last[0, 0]) ** 2 if last.size else float("nan")


def highest(streams: list[np.ndarray]) -> float:
    """max over sublayers of RMS(x)/RMS(x_1) at the end of training (Kimi Team 2026, arXiv 2603.15031)."""
    end = path(streams)[-1]
    return end.max() / end[0] if len(end) else float("nan")


def largest(streams: list[np.ndarray]) -> float:
    """The largest RMS of the stream before a sublayer, at the end of training."""
    end = path(streams)[-1]
    return end.max() if len(end) else float("nan")


END = {
    "logit_max": ("largest attention logit", "logit", ".1f", of(lambda x: x[-1].max(), "attention_logit_max")),
    "attention_entropy_end": ("attention entropy", "nats", ".2f", of(lambda x: x[-1].mean(), "attention_entropy")),
    "stream_growth_end": ("stream mean square before the last sublayer", "V₀", ".2f", of(growth, STREAM)),
    "stream_peak": ("largest stream RMS", "RMS of x₁", ".2f", of(highest, STREAM)),
    "stream_rms_end": ("largest stream RMS", "RMS", ".2f", of(largest, STREAM)),
    "stream_gained": (
        "growth of V before the last sublayer since the first chunk",
        "ratio",
        ".2f",
        of(gained, STREAM, least=2),
    ),
    "grad_tilt_end": ("|ln(last/first)| of layers' gradient RMS", "nats", ".2f", of(lambda x: tilt(x[-1]), "grad_rms")),
    "grad_cv_end": ("SD/mean of layers' gradient RMS", "ratio", ".2f", of(lambda x: variation(x[-1]), "grad_rms")),
}
LAYERS = {
    key: Metric(f"{name}, after training", unit, None, form, "layers", compute)
    for key, (name, unit, form, compute) in END.items()
}
