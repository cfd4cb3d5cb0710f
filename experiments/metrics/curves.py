"""Numbers of a run's curves: the training loss and the gradient norm of every step.

H1 is the entropy of single tokens, H* the entropy rate; for text, where nobody knows H*, the bigram loss stands for it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.metrics.metric import Metric, of
from experiments.metrics.summary import LOSS

TAIL = 20  # steps over which a training loss is averaged
WINDOW = 64  # steps before a step that say what is usual
TARGET = 0.2  # share of the way from H1 to H*


def gap(row: Mapping[str, Any]) -> float:
    """H1 - H*, in nats; NaN where neither H* nor the bigram loss is known."""
    known = [row[name] for name in ("floor_loss", "bigram_loss") if np.isfinite(number(row, name))]
    return number(row, "unigram_loss") - known[0] if known else float("nan")


def number(row: Mapping[str, Any], name: str) -> float:
    """A field of a row; NaN where it is absent or null."""
    value = row.get(name)
    return float("nan") if value is None else float(value)


def early_loss(curves: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """The mean training loss of the 20 steps that end at 25 % of the steps that were planned."""
    loss = curves["train_loss"]
    end = int(row.get("train.steps", len(loss))) // 4
    return float(loss[max(end - TAIL, 0) : end].mean()) if 0 < end <= len(loss) else float("nan")


def bounded_loss(curves: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """min(validation loss, ℓ_0), with ℓ_0 the training loss of the first step, before any update.

    ℓ_0 where the run diverged. The mean of it over a grid of learning rates, minus its smallest, is the learning-rate
    sensitivity of Wortsman et al. 2023 (arXiv 2309.14322, section 2.1).
    """
    return float(np.fmin(curves["train_loss"][0], number(row, "val_loss")))


def spike_score(curves: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """Steps with ℓ_t > m_t + max(7 s_t, 0.1 (H1 - H*)), per 1000 steps.

    m_t is the median of the 64 steps before t, s_t = 1.4826 median|ℓ - m_t| over them: an outlier does not raise its
    own bar. The steps counted, and divided by, are those that have 64 before them; NaN where none has. Where H1 - H*
    is unknown, 0.1 nats stand for a tenth of it. Unchanged when losses and entropies are rescaled alike.
    """
    loss, tenth = curves["train_loss"].astype(np.float64), 0.1 * gap(row)
    if len(loss) <= WINDOW:
        return float("nan")
    before = np.lib.stride_tricks.sliding_window_view(loss[:-1], WINDOW)
    usual = np.median(before, axis=1)
    scale = 1.4826 * np.median(np.abs(before - usual[:, None]), axis=1)
    spikes = loss[WINDOW:] > usual + np.maximum(7 * scale, tenth if np.isfinite(tenth) else 0.1)
    return 1000 * float(spikes.mean())


def steps_to_target(curves: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
    """The first step at which the mean training loss of the last 20 steps is at most H1 - 0.2 (H1 - H*).

    NaN when it never is, for a run of fewer than 20 steps, and where H1 - H* is unknown.
    """
    loss = curves["train_loss"].astype(np.float64)
    if len(loss) < TAIL:
        return float("nan")
    smooth = np.convolve(loss, np.full(TAIL, 1 / TAIL), mode="valid")  # NaN stays where it is within 20 steps
    (reached,) = np.nonzero(smooth <= number(row, "unigram_loss") - TARGET * gap(row))
    return float(curves["step"][reached[0] + TAIL - 1]) if len(reached) else float("nan")


def peak(norms: np.ndarray) -> float:
    """max/median over the finite entries."""
    finite = norms[np.isfinite(norms)]
    return finite.max() / np.median(finite) if len(finite) else float("nan")


CURVES = {
    "early_loss": Metric("training loss at 25 % of the steps", LOSS, True, source="curves", compute=early_loss),
    "bounded_loss": Metric("validation loss, at most ℓ₀", LOSS, True, source="curves", compute=bounded_loss),
    "spike_score": Metric("loss spikes", "per 1000 steps", True, ".1f", "curves", spike_score),
    "grad_peak": Metric("peak gradient norm", "medians", True, ".1f", "curves", of(peak, "grad_norm")),
    "steps_to_target": Metric("steps to progress 0.2", "steps", True, ",.0f", "curves", steps_to_target),
}
