"""A number per seed: of the right cells, at the arm's own best rate, and none where a run went wrong."""

import math

import numpy as np
import pytest

from experiments.fits import FITS
from experiments.quantity import Quantity, arms_of, sample
from flax_tx.errors import UserError
from tests.experiments.measured import DEPTH, RATE, SEED, WIRING, noise, results

PRE = {WIRING: "pre"}
DEEP = {"depth": [4, 8, 16], "wiring": ["pre"]}


def test_the_values_are_those_of_the_cells_at_these_values_by_seed():
    seen = sample(Quantity("val_loss", PRE), results(lambda wiring, depth, rate, seed: seed + 10 * (wiring == "pre")))
    assert seen.values == {(seed,): 10.0 + seed for seed in range(5)} and set(seen.statuses.values()) == {"done"}
    assert seen.estimate.mean == 12 and not seen.trouble and not seen.absent


def test_each_value_of_over_is_taken_at_its_own_best_rate_and_edges_are_kept():
    best = {4: 1e-3, 8: 2e-3, 16: 4e-3}
    loss = lambda wiring, depth, rate, seed: 2 + abs(math.log(rate / best[depth])) + noise(seed)  # noqa: E731
    swept = results(loss, rate=[1e-3, 2e-3, 4e-3], **DEEP)
    arms = arms_of(Quantity("val_loss", over=DEPTH, fit="mean"), swept)
    assert {x: arm.choice.value for x, arm in arms.items()} == {x: (rate,) for x, rate in best.items()}
    assert [arm.choice.edge for arm in arms.values()] == [(True,), (False,), (True,)]
    fixed = sample(Quantity("val_loss", {RATE: 1e-3}, over=DEPTH, fit="last_minus_first"), swept)
    assert fixed.estimate.mean == pytest.approx(math.log(4)) and fixed.arms[4].tuned == ()


def test_a_rate_tuned_elsewhere_is_taken_over():
    best = {4: 1e-3, 8: 2e-3, 16: 4e-3}
    loss = lambda wiring, depth, rate, seed: abs(math.log(rate / best[depth]))  # noqa: E731
    swept = results(loss, rate=[1e-3, 2e-3, 4e-3], **DEEP)
    assert sample(Quantity("val_loss", {DEPTH: 16}), swept).estimate.mean == 0
    assert sample(Quantity("val_loss", {DEPTH: 16}, tuned_at={DEPTH: 4}), swept).estimate.mean == pytest.approx(
        math.log(4)
    )


def test_a_seed_that_went_wrong_has_no_number_and_a_stuck_one_only_where_it_counts():
    ends = {0: (3.3, "stuck"), 1: (float("nan"), "diverged"), 2: "failed", 3: "missing"}
    swept = results(lambda wiring, depth, rate, seed: ends.get(seed, 2.0))
    seen = sample(Quantity("val_loss", PRE), swept)
    assert seen.values == {(4,): 2.0} and seen.missing == 1
    assert seen.trouble == "1/5 failed, 1/5 diverged, 1/5 stuck"
    assert sample(Quantity("val_loss", PRE, stuck_counts=True), swept).values == {(0,): 3.3, (4,): 2.0}
    assert "5/5 no number" in sample(Quantity("progress", PRE), results(lambda *_: 2.0)).trouble


@pytest.mark.parametrize(("metric", "expected"), [("update_sgd", 5), ("layer_loss_deep", 3), ("bounded_loss", 5)])
def test_what_was_measured_before_training_is_there_however_it_ended(metric, expected):
    swept = results(lambda wiring, depth, rate, seed: {0: "stuck", 1: "diverged"}.get(seed, 2.0))
    swept.columns[metric] = swept.frame.val_loss.fillna(1.0)
    assert len(sample(Quantity(metric, PRE), swept).values) == expected


def test_a_bad_cell_along_over_takes_the_seed_with_it_unless_the_fit_counts_them():
    swept = results(lambda wiring, depth, rate, seed: "diverged" if (depth, seed) == (16, 0) else 1.0, **DEEP)
    assert sample(Quantity("val_loss", over=DEPTH, fit="mean"), swept).trouble == "1/5 diverged"
    counted = sample(Quantity("val_loss", over=DEPTH, fit="count"), swept)
    assert counted.values == {(0,): 1.0} | {(seed,): 0.0 for seed in range(1, 5)} and not counted.trouble
    assert sample(Quantity("val_loss", over=DEPTH, fit="largest_trained"), swept).values[(0,)] == 8


def test_what_varies_and_is_not_spoken_for_is_named():
    swept = results(lambda *_: 1.0, depth=[6, 12])
    for quantity in (Quantity("val_loss", PRE), Quantity("val_loss", over=DEPTH, fit="mean")):
        with pytest.raises(UserError, match="varies") as error:
            sample(quantity, swept)
        assert (DEPTH if quantity.at else WIRING) in str(error.value)
    with pytest.raises(UserError, match=RATE):
        sample(Quantity("val_loss", PRE, best=False), results(lambda *_: 1.0, rate=[1e-3, 1e-2]))


def test_a_size_without_the_cells_is_told_from_cells_that_have_not_run():
    swept = results(lambda *_: "missing", depth=[6, 12])
    assert sample(Quantity("val_loss", {**PRE, DEPTH: 6}), swept).missing == 5
    assert "num_layers=24" in sample(Quantity("val_loss", {**PRE, DEPTH: 24}), swept).absent
    assert "num_layers=24" in sample(Quantity("val_loss", PRE, DEPTH, "mean", between=(6, 24)), swept).absent
    assert "another value" in sample(Quantity("val_loss", PRE, DEPTH, "slope"), results(lambda *_: 1.0)).absent


@pytest.mark.parametrize(
    ("fit", "number_of", "expected"),
    [
        ("slope", lambda x: 3 * x**-0.5, -0.5),
        ("exponential_slope", lambda x: math.exp(0.2 * x), 0.2),
        ("loglinear_slope", lambda x: 7 + 1.5 * math.log2(x), 1.5),
        ("linear_slope", lambda x: 7 - 2 * x, -2),
        ("slope_r2", lambda x: x**2, 1),
        ("loglinear_r2", lambda x: math.log(x), 1),
        ("linear_r2", lambda x: -x, 1),
        ("last_minus_first", lambda x: x**2, 240),
        ("last_over_first", lambda x: x**2, 16),
        ("argmin", lambda x: abs(x - 8), 8),
        ("argmax", lambda x: -abs(x - 8), 8),
        ("mean", lambda x: x, 28 / 3),
        ("worst", lambda x: -x, -4),
        ("least", lambda x: -x, -16),
        ("range", lambda x: x, 12),
        ("excess", lambda x: x, 28 / 3 - 4),
        ("count", lambda x: 1.0, 0),
        ("largest_trained", lambda x: 1.0, 16),
    ],
)
def test_fits_find_what_the_numbers_were_made_from(fit, number_of, expected):
    swept = results(lambda wiring, depth, rate, seed: number_of(depth), depth=[16, 4, 8], wiring=["pre"])
    assert sample(Quantity("val_loss", over=DEPTH, fit=fit), swept).values[(0,)] == pytest.approx(expected)


def test_every_fit_is_in_the_test_above_and_reads_as_words():
    cases = test_fits_find_what_the_numbers_were_made_from.pytestmark[0].args[1]
    assert {case[0] for case in cases} == set(FITS)
    said = str(Quantity("update_sgd", {WIRING: "deepnorm"}, over=DEPTH, fit="slope"))
    assert said == "slope of log update_sgd over log num_layers at wiring=deepnorm"


def test_a_logarithm_of_what_is_not_positive_is_no_number():
    swept = results(lambda wiring, depth, rate, seed: depth - 6, **DEEP)
    assert sample(Quantity("val_loss", over=DEPTH, fit="slope"), swept).trouble == "5/5 no number"


def test_a_value_of_over_that_some_seeds_lack_is_missing():
    swept = results(lambda *_: 1.0, without=[("pre", 16, 1e-3, 4)], **DEEP)
    seen = sample(Quantity("val_loss", over=DEPTH, fit="mean"), swept)
    assert len(seen.values) == 4 and seen.statuses[(4,)] == "missing" and not seen.trouble


def test_seeds_of_an_arm_of_equal_fields_are_refused():
    swept = results(lambda *_: 1.0)
    swept.manifest["axes"].pop(WIRING)
    with pytest.raises(UserError, match="share a seed"):
        sample(Quantity("val_loss"), swept)
    assert np.isnan(sample(Quantity("val_loss", {SEED: 9}), swept).estimate.mean)
