"""Cross-entropy, label smoothing and z-loss against NumPy in float64."""

import jax
import numpy as np
import pytest

from flax_tx.losses import nll, objective
from flax_tx.schema import Train
from tests.flax_tx import reference

LOGITS = np.random.default_rng(0).normal(0, 5, (6, 7)).astype(np.float32)
TARGETS = np.array([0, 1, 2, 3, 6, 6])
LOG_Z = np.log(np.exp(np.float64(LOGITS)).sum(axis=1))


def evaluate(logits, label_smoothing=0.0, z_loss=0.0):
    """(what is minimised, the cross-entropy), as floats."""
    numbers = {"label_smoothing": np.float32(label_smoothing), "z_loss": np.float32(z_loss)}
    found = jax.jit(lambda x: objective(Train(label_smoothing=label_smoothing, z_loss=z_loss), numbers, x, TARGETS))
    return tuple(map(float, found(logits)))


def test_nll_is_minus_log_softmax():
    expected = reference.cross_entropy(np.float64(LOGITS), TARGETS)
    np.testing.assert_allclose(nll(LOGITS, TARGETS), expected, rtol=1e-5, atol=1e-6)


def test_nll_of_huge_logits_is_finite():
    logits = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)
    np.testing.assert_allclose(nll(logits, np.array([0, 1])), [0, 2e4])


def test_the_gradient_of_nll_is_softmax_minus_target():
    grads = jax.grad(lambda x: nll(x, TARGETS).sum())(LOGITS)
    expected = reference.softmax(np.float64(LOGITS)) - np.eye(7)[TARGETS]
    np.testing.assert_allclose(grads, expected, atol=1e-6)


def test_plain_objective_is_the_mean_cross_entropy():
    total, loss = evaluate(LOGITS)
    assert total == loss == pytest.approx(reference.cross_entropy(np.float64(LOGITS), TARGETS).mean(), rel=1e-6)


def test_label_smoothing_is_cross_entropy_with_smoothed_targets():
    smooth = 0.9 * np.eye(7)[TARGETS] + 0.1 / 7
    expected = -(smooth * (np.float64(LOGITS) - LOG_Z[:, None])).sum(axis=1).mean()
    total, loss = evaluate(LOGITS, label_smoothing=0.1)
    assert total == pytest.approx(expected, rel=1e-6)
    assert loss == pytest.approx(evaluate(LOGITS)[1], rel=1e-6)


def test_z_loss_is_the_mean_square_of_log_z():
    total, loss = evaluate(LOGITS, z_loss=0.25)
    assert total - loss == pytest.approx(0.25 * (LOG_Z**2).mean(), rel=1e-5)
    assert loss == pytest.approx(evaluate(LOGITS)[1], rel=1e-6)


def test_both_together_are_the_sum():
    plain, smooth, z, both = (evaluate(LOGITS, **kw)[0] for kw in ({}, SMOOTH, Z, SMOOTH | Z))
    assert both == pytest.approx(smooth + z - plain, rel=1e-6)


SMOOTH, Z = {"label_smoothing": 0.2}, {"z_loss": 0.1}


def test_a_shift_of_the_logits_moves_the_z_loss_alone():
    before, after = (evaluate(LOGITS + shift, **SMOOTH)[0] for shift in (0, 3))
    assert after == pytest.approx(before, rel=1e-5)
    expected = 0.1 * ((LOG_Z + 3) ** 2 - LOG_Z**2).mean()
    assert evaluate(LOGITS + 3, **Z)[0] - evaluate(LOGITS, **Z)[0] == pytest.approx(expected, rel=1e-4)
