"""Estimates and comparisons: against definitions, against scipy.stats, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from experiments import statistics

NUMBER = st.integers(-800, 800).map(lambda eighths: eighths / 8)  # exact sums: a spread is zero or far from it
VALUES = st.lists(NUMBER, min_size=2, max_size=8)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=8)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_t_interval_covers_95_percent(n):
    draws = np.random.default_rng(0).normal(7.0, 3.0, size=(2000, n))
    inside = [e.low <= 7.0 <= e.high for e in map(statistics.estimate, draws)]
    assert abs(np.mean(inside) - 0.95) < 0.02  # 4 standard errors


@given(VALUES)
def test_estimate_is_scipys(values):
    assume(len(set(values)) > 1)
    shown = statistics.estimate(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    np.testing.assert_allclose([shown.low, shown.high], expected, rtol=1e-9, atol=1e-9)
    assert shown.half_width == pytest.approx((shown.high - shown.low) / 2)


@given(VALUES, st.floats(-10, 10), st.sampled_from([0.5, 4.0]))
def test_estimate_moves_and_scales_with_its_values(values, shift, scale):
    before, after = statistics.estimate(values), statistics.estimate([scale * value + shift for value in values])
    assert after.mean == pytest.approx(scale * before.mean + shift, abs=1e-9)
    assert after.half_width == pytest.approx(scale * before.half_width, abs=1e-9)


def test_one_value_has_no_interval_and_none_no_mean():
    one, none = statistics.estimate([2.5]), statistics.estimate([])
    assert one.mean == 2.5 and one.n == 1 and math.isnan(one.half_width) and math.isnan(one.sd)
    assert none.n == 0 and math.isnan(none.mean)


@pytest.mark.parametrize(("k", "n"), [(0, 3), (1, 2), (2, 5), (5, 5), (40, 100)])
def test_wilson_is_scipys(k, n):
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(statistics.wilson(k, n), [expected.low, expected.high], atol=1e-12)


@given(st.integers(0, 30), st.integers(1, 30))
def test_wilson_holds_the_share_and_mirrors(k, n):
    k = min(k, n)
    low, high = statistics.wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    np.testing.assert_allclose(statistics.wilson(n - k, n), [1 - high, 1 - low], atol=1e-12)


@given(PAIRS)
def test_paired_is_scipys_and_changes_sign_with_its_arms(pairs):
    assume(len({one - two for one, two in pairs}) > 1)
    a, b = zip(*pairs, strict=True)
    shown, mirrored, expected = statistics.paired(a, b), statistics.paired(b, a), stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose([shown.p, shown.low, shown.high], [expected.pvalue, *interval], rtol=1e-6, atol=1e-9)
    assert (mirrored.mean, mirrored.low, mirrored.p) == (-shown.mean, -shown.high, pytest.approx(shown.p))


def test_pairing_finds_what_an_unpaired_test_does_not():
    rng = np.random.default_rng(0)
    seed, noise = rng.normal(0, 1, size=(200, 1, 5)), rng.normal(0, 0.3, size=(200, 2, 5))
    arms = seed + noise + np.array([0, 0.5])[:, None]
    paired = np.mean([statistics.paired(*pair).p < 0.05 for pair in arms])
    welch = np.mean(stats.ttest_ind(arms[:, 0], arms[:, 1], axis=1, equal_var=False).pvalue < 0.05)
    assert paired > 0.4 and welch < 0.1


def test_paired_without_spread_or_without_pairs():
    assert statistics.paired([1, 2], [1, 2]).p == 1 and statistics.paired([1, 2], [2, 3]).p == 0
    assert math.isnan(statistics.paired([1], [2]).p) and statistics.paired([1], [2]).mean == -1
    with pytest.raises(ValueError, match="equal lengths"):
        statistics.paired([1, 2], [1])


@given(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.3, 0.9, 1.0]), min_size=1, max_size=7))
def test_holm_rejects_what_its_step_down_definition_rejects(p):
    for level in (0.0005, 0.015, 0.05, 0.2):
        rejected, left = set(), sorted(range(len(p)), key=p.__getitem__)
        while left and p[left[0]] * len(left) <= level:  # the smallest of those left, at level/(number left)
            rejected.add(left.pop(0))
        adjusted = statistics.holm(p)
        assert {i for i, value in enumerate(adjusted) if value <= level} == rejected
    assert all(a >= b for a, b in zip(adjusted, p, strict=True)) and max(adjusted) <= 1


def test_holm_leaves_out_of_the_family_what_was_not_tested():
    assert statistics.holm([0.01, math.nan, 0.03])[0] == pytest.approx(0.02)
    assert math.isnan(statistics.holm([0.01, math.nan])[1]) and statistics.holm([]) == []


def test_noise_floor_pools_variances_by_their_degrees_of_freedom():
    floor, dof = statistics.noise_floor([[1, 2, 3], [10, 14], [5], []])
    assert dof == 3 and floor == pytest.approx(math.sqrt((2 * 1.0 + 1 * 8.0) / 3))
    assert math.isnan(statistics.noise_floor([[1.0]])[0])
    shifted, _ = statistics.noise_floor([[101, 102, 103], [0, 4]])
    assert shifted == pytest.approx(floor)


def test_a_nuisance_value_is_never_chosen_for_its_survivors():
    scores = {(1e-3,): [2.0, 2.1], (3e-3,): [1.0]}
    assert statistics.best_nuisance(scores, {(3e-3,): 1}).value == (1e-3,)
    assert statistics.best_nuisance(scores, {}).value == (3e-3,)
    assert statistics.best_nuisance({(1e-3,): [], (3e-3,): [1.0]}, {(1e-3,): 2, (3e-3,): 1}).value == (3e-3,)


def test_a_nuisance_value_without_a_result_comes_last():
    assert statistics.best_nuisance({(1,): [], (2,): [], (3,): []}, {(2,): 2, (3,): 3}).value == (2,)


def test_higher_is_better_turns_the_order_of_means_round_but_not_that_of_bad_seeds():
    scores = {(1,): [0.5, 0.6], (2,): [0.8, 0.9], (3,): [0.99]}
    assert statistics.best_nuisance(scores, {(3,): 1}, lower_is_better=False).value == (2,)


def test_the_edge_of_a_grid_is_told_per_field():
    scores = {(lr, decay, name): [abs(lr - 2) + decay] for lr in (1, 2, 3) for decay in (0.0, 0.1) for name in "ab"}
    choice = statistics.best_nuisance(scores, {})
    assert choice.value == (2, 0.0, "a") and choice.edge == (False, True, False) and choice.tuned
    alone = statistics.best_nuisance({(1,): [1.0]}, {})
    assert alone.edge == (False,) and not alone.tuned
    assert statistics.best_nuisance({(1,): [], (2,): []}, {(1,): 2, (2,): 2}).hopeless


@given(VALUES)
def test_the_one_sided_level_is_that_of_scipys_one_sided_test(values):
    assume(len(set(values)) > 1)
    shown = statistics.estimate(values, statistics.ONE_SIDED)
    expected = stats.ttest_1samp(values, 0, alternative="greater").confidence_interval(0.95).low
    assert shown.low == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert shown.high - shown.mean == pytest.approx(shown.mean - shown.low, rel=1e-9, abs=1e-9)


@given(PAIRS)
def test_line_and_spearman_are_scipys(pairs):
    x, y = zip(*pairs, strict=True)
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    shown, expected = statistics.line(x, y), stats.linregress(x, y)
    found = [shown.slope, shown.intercept, shown.r2, statistics.spearman(x, y)]
    wanted = [expected.slope, expected.intercept, expected.rvalue**2, stats.spearmanr(x, y).statistic]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_a_line_through_what_does_not_vary_has_no_slope_or_no_fit():
    assert math.isnan(statistics.line([1, 1], [1, 2]).slope) and statistics.line([1, 2], [3, 3]).slope == 0
    assert math.isnan(statistics.line([1, 2], [3, 3]).r2) and math.isnan(statistics.spearman([1, 2], [3, 3]))
    assert math.isnan(statistics.line([1, 2, 3], [1, math.nan, 3]).slope)


@given(st.integers(0, 20), st.integers(0, 20))
def test_mcnemar_is_the_binomial_test_of_discordant_pairs(a, b):
    expected = stats.binomtest(a, a + b).pvalue if a + b else 1
    assert statistics.mcnemar(a, b) == statistics.mcnemar(b, a) == pytest.approx(expected)
