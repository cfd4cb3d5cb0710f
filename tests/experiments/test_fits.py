"""What a row of cells is reduced to: the sensitivity to a learning rate, and the largest that trains."""

import numpy as np
import pytest

from experiments.fits import FITS

RATES = np.array([1e-3, 1e-2, 1e-1, 1.0])


def sensitivity(losses, start=3.0):
    """min(loss, loss before training) is what the metric bounded_loss gives; its excess is the sensitivity."""
    return FITS["excess"].compute(RATES, np.fmin(losses, start))


def test_a_model_that_no_rate_hurts_is_not_sensitive():
    assert sensitivity(np.full(4, 1.7)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("losses", [[1.0, 2.0, 9.0, np.nan], [2.9, 1.5, 40.0, 3.1], [3.5, 3.5, 0.2, np.nan]])
def test_sensitivity_is_at_most_what_the_best_rate_gained(losses):
    assert 0 < sensitivity(np.array(losses)) <= 3.0 - np.nanmin(losses)


def test_sensitivity_forgets_the_level_of_the_losses():
    losses = np.array([1.0, 1.4, 2.5, 8.0])
    assert sensitivity(losses + 0.7, start=3.7) == pytest.approx(sensitivity(losses))


def test_sensitivity_of_runs_that_diverge_is_that_of_runs_that_stay_where_they_started():
    assert sensitivity(np.array([1.0, 1.2, np.nan, np.nan])) == pytest.approx((0.0 + 0.2 + 2.0 + 2.0) / 4)


@pytest.mark.parametrize(
    ("losses", "largest"), [([1.0, 2.0, np.nan, np.nan], 1e-2), ([np.nan, 1.0, np.nan, 2.0], 1.0), ([np.nan] * 4, 0.0)]
)
def test_the_largest_rate_that_trains_is_above_any_that_fails(losses, largest):
    assert FITS["largest_trained"].compute(RATES, np.array(losses)) == largest
