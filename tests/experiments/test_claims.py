"""Every condition reaches every word that it can, and only for its reason; claims survive JSON; mistakes are lines."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import records
from experiments.claims import (
    HOLDS,
    INCONCLUSIVE,
    NOT_EXERCISED,
    REVERSED,
    Above,
    All,
    Any,
    Below,
    Claim,
    Drift,
    Equivalent,
    Every,
    Fails,
    Greater,
    LessDrift,
    MoreFailures,
    Not,
    Order,
    Quantity,
    Same,
    Trains,
    Within,
    problems,
)
from experiments.claims.condition import Condition
from experiments.plain import Plain
from experiments.table_spec import Table
from flax_tx.errors import UserError
from tests.experiments.measured import DEPTH, RATE, SEED, WIRING, noise, results, with_probe

POST, PRE, DEEPNORM = ({WIRING: wiring} for wiring in ("post", "pre", "deepnorm"))
A, B, C = (Quantity("val_loss", at) for at in (POST, PRE, DEEPNORM))
N = range(5)


def told(condition, *numbers, **axes):
    """The finding, with numbers[i][seed] of wiring i."""
    wirings = ["post", "pre", "deepnorm"][: len(numbers)]
    return condition.evaluate(results(lambda w, d, r, s: numbers[wirings.index(w)][s], wiring=wirings, **axes))


def around(mean, size=0.01):
    """Five seeds near a mean."""
    return [mean + noise(seed, size) for seed in N]


ZERO = around(0)
ENDS = ["done", "stuck", "diverged", "stuck", "stuck"]
VERDICTS = [
    *((Within(A, -0.1, 0.1), [around(mean)], word) for mean, word in ((0, HOLDS), (1, REVERSED), (-1, REVERSED))),
    (Within(A, -0.1, 0.1), [around(0.1)], INCONCLUSIVE),
    (Within(A, low=0.5), [around(1)], HOLDS),
    *((Above(A, 1), [around(mean)], word) for mean, word in ((1.1, HOLDS), (0.9, REVERSED), (1.0, INCONCLUSIVE))),
    *((Below(A, 1), [around(mean)], word) for mean, word in ((0.9, HOLDS), (1.1, REVERSED), (1.0, INCONCLUSIVE))),
    *(
        (Greater(A, B, 0.1), [around(2 + more), around(2, 0.02)], word)
        for more, word in ((0.3, HOLDS), (-0.3, REVERSED), (0.1, INCONCLUSIVE), (0.05, INCONCLUSIVE))
    ),
    *(  # not inferior by 0.1: worse by 0.05 holds, by 0.3 is reversed
        (Greater(A, B, -0.1), [around(2 + more), around(2, 0.02)], word)
        for more, word in ((-0.05, HOLDS), (-0.3, REVERSED), (-0.1, INCONCLUSIVE))
    ),
    *(
        (Greater(A, B, 100, ratio=True), [around(above), around(2)], word)
        for above, word in ((300, HOLDS), (1, REVERSED), (150, INCONCLUSIVE), (-1, INCONCLUSIVE))
    ),
    *(
        (Equivalent(A, B, 0.1), [around(2 + more), around(2, 0.02)], word)
        for more, word in ((0.02, HOLDS), (0.3, REVERSED), (-0.3, REVERSED), (0.1, INCONCLUSIVE))
    ),
    (Every(A, -0.1, 0.1), [[0, 0.1, -0.1, 0, 0]], HOLDS),
    (Every(A, -0.1, 0.1), [[0, 0, 0, 0, 0.11]], REVERSED),
    (Every(A, -0.1, 0.1), [["stuck", 0, 0, 0, 0]], INCONCLUSIVE),
    (Every(A, -0.1, 0.1), [["stuck", 1, 0, 0, 0]], REVERSED),
    (Trains(POST), [[1, 1, 1, 1, "stuck"]], HOLDS),
    (Trains(POST), [[1, 1, 1, "missing", "stuck"]], INCONCLUSIVE),
    (Trains(POST), [["diverged", "stuck", "stuck", "stuck", 1]], REVERSED),
    (Trains(POST), [["failed"] * 5], INCONCLUSIVE),
    (Fails(POST), [["diverged", "stuck", "stuck", "stuck", 1]], HOLDS),
    (Fails(POST), [[1, 1, "stuck", "stuck", "stuck"]], INCONCLUSIVE),
    (Fails(POST), [[1, 1, 1, 1, "stuck"]], REVERSED),
    (Fails(POST), [["failed"] * 5], INCONCLUSIVE),
    (Order([A, B, C], 0.7), [around(1), around(2), around(3)], HOLDS),
    (Order([A, B, C], 0.7), [around(3), around(2), around(1)], REVERSED),
    (Order([A, B, C], 0.7), [around(2), around(3), around(1)], INCONCLUSIVE),
    (Order([A, B, C], 0.7), [around(1), around(2), ["stuck"] * 5], INCONCLUSIVE),
    (Not(Above(A, 1)), [around(0.9)], HOLDS),
    (Not(Above(A, 1)), [around(1.1)], REVERSED),
    (Not(Above(A, 1)), [around(1)], INCONCLUSIVE),
    (Any([Above(A, 1), Above(B, 1)]), [ZERO, around(2)], HOLDS),
    (Any([Above(A, 1), Above(B, 1)]), [ZERO, ZERO], REVERSED),
    (Any([Above(A, 1), Above(B, 1)]), [ZERO, around(1)], INCONCLUSIVE),
    (Any([Above(C, 1), Above(B, 1)]), [ZERO, around(2)], HOLDS),
    (All([Above(A, 1), Above(B, 1)]), [around(2), around(2)], HOLDS),
    (All([Above(A, 1), Above(B, 1)]), [around(2), ZERO], REVERSED),
    (All([Above(A, 1), Above(B, 1)]), [around(2), around(1)], INCONCLUSIVE),
    (All([Above(A, 1), Above(C, 1)]), [around(2), around(1)], NOT_EXERCISED),
    (Any([Above(A, 1), Above(C, 1)]), [ZERO, ZERO], NOT_EXERCISED),
    (Above(C, 1), [ZERO, ZERO], NOT_EXERCISED),
]


@pytest.mark.parametrize(("condition", "numbers", "word"), VERDICTS, ids=lambda value: type(value).__name__)
def test_the_word_of_a_condition_is_that_of_its_numbers(condition, numbers, word):
    finding = told(condition, *numbers)
    assert finding.word == word, finding
    assert finding.rule == str(condition) and (finding.reasons or word in (HOLDS, REVERSED))


T_BASED = [Within(A, -1, 9), Above(A, 0), Below(A, 9), Greater(B, A), Greater(B, A, 1, ratio=True), Equivalent(A, B, 9)]


@pytest.mark.parametrize("condition", T_BASED, ids=lambda value: type(value).__name__)
def test_one_seed_or_none_never_holds_and_a_bad_seed_neither(condition):
    numbers = [around(1), around(2)]
    assert told(condition, *numbers).word == HOLDS
    for axes, reason in (({"seed": [0]}, "1 seed"),):
        assert told(condition, *numbers, **axes).word == INCONCLUSIVE
        assert reason in told(condition, *numbers, **axes).reasons[0]
    for ends in ([*around(1)[:4], "stuck"], ["stuck"] * 5, ["diverged"] * 5):
        finding = told(condition, ends, around(2))
        assert finding.word == INCONCLUSIVE and f"{ends.count(ends[4])}/5 {ends[4]}" in finding.reasons[0]
    assert told(condition, ["missing"] * 5, ["missing"] * 5).word == INCONCLUSIVE
    assert told(condition, ["missing", *around(1)[1:]], around(2)).n == 4  # not run yet: no survivor's mean


def test_bounds_are_those_of_student_for_five_and_three_seeds():
    x = np.array([1.0, 1.1, 0.9, 1.3, 0.8])
    for n, t in ((5, 2.132), (3, 2.920)):
        finding = told(Above(A, 0), x, seed=list(range(n)))
        assert finding.low == pytest.approx(x[:n].mean() - t * x[:n].std(ddof=1) / math.sqrt(n), abs=1e-3)


SIXTEENTHS = st.lists(st.integers(-16, 16).map(lambda number: number / 16), min_size=5, max_size=5)


@settings(max_examples=30)
@given(SIXTEENTHS, SIXTEENTHS, st.sampled_from([0.5, -32.0]))
def test_a_constant_added_to_both_arms_changes_no_comparison(a, b, constant):
    shifted = [[value + constant for value in arm] for arm in (a, b)]  # exact, in sixteenths
    for condition in (Greater(A, B, 0.1), Greater(A, B, -0.1), Equivalent(A, B, 0.2)):
        assert told(condition, a, b) == told(condition, *shifted)


def test_pairing_is_by_seed_and_only_shared_seeds_count():
    a, b = [0, 10, 20, 30, 40], [1, 11.1, 20.9, 31, 41]
    assert told(Greater(B, A, 0.5), a, b).word == HOLDS and told(Greater(B, A, 0.5), a, b[::-1]).word == INCONCLUSIVE
    swept = results(lambda w, d, r, s: float(s + (w == "pre")), without=[("pre", 6, 1e-3, 4)])
    finding = Greater(B, A, 0.5).evaluate(swept)
    assert finding.n == 4 and "unequal seeds: 4 and 5" in " ".join(finding.lint)


def test_ratios_are_of_factors():
    finding = told(Greater(A, B, 2, ratio=True), [300.0] * 5, [2.0] * 5)
    assert finding.effect == pytest.approx(150) and finding.low == pytest.approx(150)


def test_trains_may_ask_for_progress():
    swept = results(lambda w, d, r, s: 0.04 + 0.02 * s, metric="progress")
    swept.frame["val_loss"] = 1.0
    assert Trains(POST).evaluate(swept).word == HOLDS
    assert Trains(POST, progress=0.05).evaluate(swept).word == HOLDS
    assert Trains(POST, progress=0.07).evaluate(swept).word == INCONCLUSIVE


def test_failures_are_judged_at_the_best_rate_of_the_arm():
    swept = results(lambda w, d, r, s: 2.0 if r < 2e-3 else "stuck", rate=[1e-3, 3e-3])
    assert Trains(POST).evaluate(swept).word == HOLDS and Trains(POST).evaluate(swept).chosen == ("learning_rate=1e-3",)
    assert Fails({**POST, RATE: 3e-3}).evaluate(swept).word == HOLDS
    assert "learning_rate=1e-3 is at the edge" in " ".join(Trains(POST).evaluate(swept).lint)


@pytest.mark.parametrize(
    ("post", "pre", "word"),
    [
        (4, 0, HOLDS),
        (0, 4, REVERSED),
        (1, 0, INCONCLUSIVE),
        (4, 4, INCONCLUSIVE),
        (2, 0, INCONCLUSIVE),
        (0, 2, INCONCLUSIVE),
    ],
)
def test_more_failures_counts_cells_and_asks_mcnemar(post, pre, word):
    rates = [1e-3, 3e-3, 1e-2, 3e-2]
    end = lambda w, d, r, s: "stuck" if rates.index(r) < {"post": post, "pre": pre}[w] and s < 2 else 1.0  # noqa: E731
    finding = MoreFailures(POST, PRE, 3).evaluate(results(end, rate=rates, seed=[0, 1]))
    assert finding.word == word and finding.effect == 2 * (post - pre) and finding.n == 8


def test_cells_without_an_end_are_left_out_of_the_pairs():
    end = lambda w, d, r, s: "failed" if s == 0 else "stuck" if w == "post" else 1.0  # noqa: E731
    finding = MoreFailures(POST, PRE).evaluate(results(end))
    assert finding.n == 4 and finding.effect == 4 and "1 pairs" in finding.lint[0]
    alone = MoreFailures(POST, PRE).evaluate(results(end, without=[("pre", 6, 1e-3, 1)]))
    assert "1 cells have no partner" in alone.lint


RATES = [1e-3, 2e-3, 4e-3, 8e-3, 16e-3]


def optima(**best):
    """A sweep of two depths with its least loss at these rates: (first, last) of each wiring."""
    loss = lambda w, d, r, s: abs(math.log(r / best[w][d > 6])) + noise(s)  # noqa: E731
    return results(loss, wiring=list(best), depth=[6, 24], rate=RATES)


@pytest.mark.parametrize(
    ("first", "last", "word", "drift"),
    [
        (4e-3, 4e-3, HOLDS, 0),
        (4e-3, 2e-3, HOLDS, -1),
        (8e-3, 2e-3, REVERSED, -2),
        (2e-3, 1e-3, INCONCLUSIVE, -1),
        (16e-3, 1e-3, REVERSED, -4),
    ],
)
def test_drift_is_the_log_of_the_ratio_of_optima(first, last, word, drift):
    finding = Drift(POST, DEPTH, 1).evaluate(optima(post=(first, last)))
    assert (finding.word, finding.effect) == (word, pytest.approx(drift))
    assert "num_layers=" not in finding.chosen[0] and "24: learning_rate" in finding.chosen[0]


@pytest.mark.parametrize(("pre", "word"), [((8e-3, 2e-3), HOLDS), ((4e-3, 4e-3), INCONCLUSIVE)])
def test_one_arm_drifts_less_than_another(pre, word):
    assert LessDrift(POST, PRE, DEPTH).evaluate(optima(post=(4e-3, 4e-3), pre=pre)).word == word
    assert LessDrift(PRE, POST, DEPTH).evaluate(optima(post=(4e-3, 4e-3), pre=pre)).word in (REVERSED, INCONCLUSIVE)


def test_a_drift_without_a_choice_is_no_drift():
    assert Drift(POST, DEPTH).evaluate(results(lambda *_: 1.0, depth=[6, 12])).word == INCONCLUSIVE
    dead = Drift(POST, DEPTH).evaluate(results(lambda *_: "stuck", depth=[6, 12], rate=RATES))
    assert dead.word == INCONCLUSIVE and "no value trains" in dead.reasons[0]
    with pytest.raises(UserError, match="retunes"):
        Drift(POST, DEPTH, nuisance="optim.beta2").evaluate(results(lambda *_: 1.0, depth=[6, 12], rate=RATES))


LOGITS = np.linspace(-1, 1, 8)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda x, s: x + 1e-7, HOLDS),
        (lambda x, s: x + (s == 3) * 1e-3, REVERSED),
        (lambda x, s: x[:-1], REVERSED),
        (lambda x, s: x * np.nan, REVERSED),
        (lambda x, s: None if s == 3 else x, INCONCLUSIVE),
    ],
)
def test_same_compares_the_probe_of_every_pair(change, word):
    swept = with_probe(results(lambda *_: 1.0), lambda w, s: change(LOGITS + s, s) if w == "pre" else LOGITS + s)
    finding = Same(POST, PRE).evaluate(swept)
    assert finding.word == word and Not(Same(POST, PRE)).evaluate(swept).word == {HOLDS: REVERSED, REVERSED: HOLDS}.get(
        word, word
    )


def test_same_pairs_at_every_other_axis_and_lets_what_moves_with_the_arm():
    swept = with_probe(results(lambda *_: 1.0, depth=[6, 12]), lambda w, s: LOGITS + s)
    assert Same(POST, PRE).evaluate(swept).n == 10
    for row in swept.rows.values():
        row["model.init"] = row[WIRING]
    swept.manifest["axes"]["model.init"] = ["post", "pre"]
    assert Same(POST, PRE).evaluate(swept).n == 10
    assert Same(POST, {WIRING: "rezero"}).evaluate(swept).word == NOT_EXERCISED


CASES = [case[0] for case in VERDICTS] + [
    Drift(POST, DEPTH),
    LessDrift(POST, PRE, DEPTH),
    MoreFailures(POST, PRE),
    Same(POST, PRE),
]


def test_every_condition_is_tried_and_survives_json():
    inner = {"Condition", "Interval", "Share", "Moves", "Several", "Quantity", "Claim"}
    assert {type(case).__name__ for case in CASES} == set(Plain.TYPES) - inner
    rich = Quantity(
        "val_loss", {"model.segments": [[["num_layers", 2]]], "model.head_dim": None}, DEPTH, "slope", between=[6, 12]
    )
    claim = Claim("X", "says", "paper", "training", [*CASES, Within(rich, None, 1)], (Trains(PRE),), "but")
    assert Claim.from_json(json.loads(json.dumps(records.plain(claim.to_json())))) == claim
    assert Claim.from_json(claim.to_json()) == claim and claim.rule[-1].q.at["model.segments"] == (
        (("num_layers", 2),),
    )


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ({"type": "Withn"}, "did you mean Within"),
        ({"type": "Not", "of": 1}, "another version"),
        ({}, "expected an object"),
    ],
)
def test_what_no_version_wrote_is_a_line(plain, expected):
    with pytest.raises(UserError, match=expected):
        Claim.from_json(plain)


def claim_of(rule, check=()):
    return Claim("X", "says", "paper", "training", rule, check)


YES, NO, OPEN, ABSENT = Above(B, 1), Below(B, 1), Above(B, 2), Above(C, 0)


@pytest.mark.parametrize(
    ("rule", "check", "word"),
    [
        ([YES], [], HOLDS),
        ([YES, NO], [], REVERSED),
        ([YES, OPEN], [], INCONCLUSIVE),
        ([OPEN, NO], [], REVERSED),
        ([YES], [YES], HOLDS),
        ([YES], [OPEN], NOT_EXERCISED),
        ([NO], [NO], NOT_EXERCISED),
        ([YES, ABSENT], [], NOT_EXERCISED),
        ([YES], [ABSENT], NOT_EXERCISED),
    ],
)
def test_the_verdict_is_made_of_rule_and_check(rule, check, word):
    swept = results(lambda w, d, r, s: 2 + noise(s))
    verdict = claim_of(rule, check).evaluate(swept)
    assert verdict.word == word and len(verdict.rule) == len(rule) and len(verdict.check) == len(check)
    assert json.dumps(verdict.to_json(), allow_nan=False)
    if ABSENT in (*rule, *check):
        assert any("not in this size" in reason for f in (*verdict.rule, *verdict.check) for reason in f.reasons)


def test_a_condition_that_cannot_be_asked_decides_nothing_and_says_why():
    verdict = claim_of([Above(Quantity("val_loss"), 1), YES]).evaluate(results(lambda *_: 2.0))
    assert verdict.word == INCONCLUSIVE and "model.wiring varies (post, pre)" in verdict.rule[0].reasons[0]


def test_doubts_are_told():
    swept = results(lambda w, d, r, s: 2 + noise(s) if s else "missing", seed=[0, 1, 2], rate=[1e-3, 2e-3])
    swept.frame["params"] = [1000.0 * (1 + (w == "pre")) for w in swept.frame[WIRING]]
    swept.frame["commit"] = ["aaa" if w == "pre" else "bbb" for w in swept.frame[WIRING]]
    doubts = " ".join(claim_of([Greater(B, A), YES]).evaluate(swept).lint)
    for doubt in (
        "edge of its grid",
        "3 seeds; 5 are",
        "2 of 6 seeds are missing",
        "2 k and 1 k",
        "differ in commit: aaa, bbb",
    ):
        assert doubt in doubts
    assert not claim_of([YES]).evaluate(results(lambda w, d, r, s: 2 + noise(s))).lint


AXES = {
    WIRING: ["post", "pre"],
    DEPTH: [6, 12],
    RATE: [1e-3, 3e-3],
    SEED: [0, 1],
    "model.norm.kind": ["layernorm", "rmsnorm"],
}
TABLE = Table(rows=(WIRING, "model.norm.kind"), columns=(DEPTH,), nuisance=(RATE,), seeds=(SEED,))
GOOD = {WIRING: "post", DEPTH: 6, "model.norm.kind": "layernorm"}


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        (Above(Quantity("val_los", GOOD), 1), "Quantity.metric = 'val_los': no such metric; did you mean val_loss?"),
        (
            Above(Quantity("val_loss", {"model.wirng": 1}), 1),
            "at = 'model.wirng': no such field; did you mean model.wiring?",
        ),
        (Trains({"model.wirng": 1}), "Trains.at = 'model.wirng'"),
        (Trains({WIRING: "pots"}), "model.wiring = 'pots': expected one of"),
        (Trains({DEPTH: "six"}), "model.num_layers = 'six': expected"),
        (Above(Quantity("val_loss", GOOD, over="model.depth", fit="mean"), 1), "over = 'model.depth': no such field"),
        (Above(Quantity("val_loss", GOOD, over=DEPTH), 1), "expected both or neither"),
        (Above(Quantity("val_loss", GOOD, over=DEPTH, fit="mean"), 1), "not in at"),
        (Above(Quantity("val_loss", {}, over=SEED, fit="mean"), 1), "no seed"),
        (Above(Quantity("val_loss", {}, over=DEPTH, fit="slop"), 1), "did you mean slope?"),
        (Above(Quantity("val_loss", {}, over=WIRING, fit="slope"), 1), "expected an axis of numbers"),
        (Above(Quantity("val_loss", GOOD, best=False), 1), f"expected {RATE} in at"),
        (Above(Quantity("val_loss", {}, DEPTH, "mean", tuned_at={WIRING: "pre"}), 1), f"expected a value of {DEPTH}"),
        (Within(Quantity("val_loss", GOOD), 2, 1), "low = 2, high = 1: expected low <= high"),
        (Within(Quantity("val_loss", GOOD)), "at least one of them"),
        (Every(Quantity("val_loss", GOOD), 2, 1), "expected low <= high"),
        (Greater(A, B, ratio=True), "expected a factor above 0"),
        (Equivalent(A, B, 0), "expected more than 0"),
        (Trains(GOOD, 80), "share = 80: expected more than 0, at most 1"),
        (Order([A, B], 0.7), "at least 3, got 2"),
        (Order([A, B, C], 7), "correlation = 7"),
        (MoreFailures(POST, PRE, 0), "by = 0"),
        (Same(POST, PRE, tolerance=-1), "tolerance = -1"),
        (Drift(POST, DEPTH, bound=-1), "bound = -1"),
        (Drift(POST), "over = '': expected a field"),
        (Any([]), "expected at least one"),
        (Above("val_loss", 1), "Above.q = 'val_loss': expected Quantity"),
        (Above(Quantity("val_loss", GOOD), "1"), "Above.bound = '1': expected float"),
        (Not(Quantity("val_loss", GOOD)), "expected Condition"),
        (Above(Quantity("val_loss", "post"), 1), "Quantity.at = 'post': expected a dict"),
    ],
)
def test_every_mistake_in_a_condition_is_a_line_before_a_launch(condition, line):
    found = problems([claim_of([condition])], AXES, TABLE)
    assert any(line in problem and problem.startswith("claims.X") for problem in found), found


def test_mistakes_between_and_around_claims_are_lines():
    good = claim_of([Trains(GOOD), Greater(Quantity("val_loss", GOOD), Quantity("val_loss", {**GOOD, DEPTH: 24}))])
    assert problems([good], AXES, TABLE) == []
    wrong = [dataclasses.replace(good, kind="trainig"), good, dataclasses.replace(good, id="Y", rule=()), {"id": "Z"}]
    wrong.append(dataclasses.replace(good, id="W", source=5))
    lines = "\n".join(problems(wrong, AXES, TABLE))
    for expected in (
        "did you mean training?",
        "claims.X: expected one claim of this id, got 2",
        "at least one condition",
        "got dict",
        "claims.W: source = 5: expected str",
    ):
        assert expected in lines
    assert "expected a tuple of conditions" in problems([dataclasses.replace(good, rule=Trains(GOOD))], AXES, TABLE)[0]


def test_what_would_be_mixed_is_named_from_the_cells():
    loose = Quantity("val_loss", {WIRING: "post", DEPTH: 6})
    cells = [
        {WIRING: w, DEPTH: d, "model.norm.kind": "layernorm" if w == "pre" else k}
        for w in ("post", "pre")
        for d in (6, 12)
        for k in ("layernorm", "rmsnorm")
    ]
    (line,) = problems([claim_of([Above(loose, 1)])], AXES, TABLE, cells)
    assert line == "claims.X Quantity.at: model.norm.kind varies (layernorm, rmsnorm); fix it"
    fixed = [Above(Quantity("val_loss", {WIRING: "pre"}, DEPTH, "mean"), 1), Drift({WIRING: "pre"}, DEPTH)]
    assert problems([claim_of(fixed)], AXES, TABLE, cells) == []
    assert len(problems([claim_of([Trains({WIRING: "pre"}), Drift({}, DEPTH)])], AXES, TABLE, cells)) == 2


def test_every_condition_says_its_rule():
    assert all(str(case) and isinstance(case, Condition) for case in CASES)
    slope = Quantity("update_sgd", {WIRING: "deepnorm"}, DEPTH, "slope")
    assert (
        str(Within(slope, -0.12, 0.12))
        == "slope of log update_sgd over log num_layers at wiring=deepnorm: 95 % interval inside [-0.12, 0.12]"
    )
