"""The formulas in float64, the modules in float32, and eps, which reaches every norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flax_tx.layers import Normalize
from flax_tx.norms import NORMS, layer_norm, learns, rms_norm
from flax_tx.schema import Norm
from tests.flax_tx import reference, tiny

CASES = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(1, 3, (3, 16)))
EPS = st.sampled_from([1e-12, 1e-6, 0.5])
FACTORS = st.floats(0.1, 100) | st.floats(-100, -0.1)
each_case = settings(max_examples=30, deadline=None)


@each_case
@given(CASES, EPS)
def test_formulas_are_those_of_the_papers(x, eps):
    np.testing.assert_allclose(layer_norm(x, eps), reference.layer_norm(x, eps), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(rms_norm(x, eps), reference.rms_norm(x, eps), rtol=1e-12)
    np.testing.assert_allclose(layer_norm(x, eps), rms_norm(x - x.mean(-1, keepdims=True), eps), rtol=1e-12, atol=1e-12)


@each_case
@given(CASES, FACTORS, st.floats(-100, 100))
def test_layer_norm_forgets_shift_and_scale_and_rms_norm_scale(x, factor, shift):
    np.testing.assert_allclose(layer_norm(factor * x + shift, 1e-14), np.sign(factor) * layer_norm(x, 1e-14), atol=1e-8)
    np.testing.assert_allclose(rms_norm(factor * x, 1e-14), np.sign(factor) * rms_norm(x, 1e-14), atol=1e-8)


@each_case
@given(CASES)
def test_a_second_norm_changes_nothing(x):
    for formula in (layer_norm, rms_norm):
        once = formula(x, 1e-12)
        np.testing.assert_allclose(formula(once, 1e-12), once, rtol=1e-10)


@each_case
@given(CASES, EPS)
def test_statistics_of_the_result_are_short_of_one_by_eps_exactly(x, eps):
    y, variance, square = layer_norm(x, eps), x.var(-1), (x * x).mean(-1)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(-1), variance / (variance + eps), rtol=1e-12)
    np.testing.assert_allclose((rms_norm(x, eps) ** 2).mean(-1), square / (square + eps), rtol=1e-12)


def test_the_variance_survives_a_large_mean():
    x = np.float32(np.random.default_rng(0).normal(size=(4, 64))) + np.float32(1000)
    np.testing.assert_allclose(layer_norm(x, 1e-6), reference.layer_norm(np.float64(x), 1e-6), atol=1e-3)


def test_jacobians():
    """(I - 11ᵀ/D - yyᵀ/D)/σ for LayerNorm, (I - yyᵀ/D)/rms for RMSNorm: 1 and y, or y alone, have no effect."""
    x, eps, size = np.float32(np.random.default_rng(0).normal(1, 3, 8)), 1e-9, 8
    for formula, mean, scale in ((layer_norm, 1 / size, x.std()), (rms_norm, 0, np.sqrt((x * x).mean()))):
        y = np.asarray(formula(x, eps))
        jacobian = np.asarray(jax.jacobian(lambda x, f=formula: f(x, eps))(x))
        np.testing.assert_allclose(jacobian, (np.eye(size) - mean - np.outer(y, y) / size) / scale, atol=1e-6)
        np.testing.assert_allclose(jacobian @ y, 0, atol=1e-6)


def test_what_a_norm_learns():
    expected = {"layernorm": (True, True), "rmsnorm": (True, False), "none": (False, False)}
    assert {kind: learns(Norm(), kind) for kind in NORMS} == expected
    assert {learns(Norm(scale=True, bias=True), kind) for kind in ("layernorm", "rmsnorm")} == {(True, True)}
    assert {learns(Norm(scale=False, bias=False), kind) for kind in NORMS} == {(False, False)}
    assert learns(Norm(scale=True, bias=True), "none") == (False, False)


@pytest.mark.parametrize("kind", ["layernorm", "rmsnorm"])
def test_the_module_is_formula_then_scale_then_bias(kind):
    module = Normalize(tiny.config({"model.norm.bias": True}).model, kind)
    x = np.random.default_rng(0).normal(2, 1, (5, 16))
    fresh = module.init(jax.random.key(0), np.float32(x))["params"]
    assert np.all(fresh["scale"] == 1) and np.all(fresh["bias"] == 0)
    params = tiny.fill(fresh)
    expected = reference.norm(tiny.wide(params), x, kind)
    np.testing.assert_allclose(module.apply({"params": params}, np.float32(x)), expected, atol=2e-6)


def test_a_layer_norm_without_bias_still_centres():
    module = Normalize(tiny.config({"model.norm.bias": False}).model, "layernorm")
    y, variables = module.init_with_output(
        jax.random.key(0), np.float32(np.random.default_rng(0).normal(5, 1, (3, 16)))
    )
    assert set(variables["params"]) == {"scale"}
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-6)


def test_statistics_are_float32_whatever_the_compute_dtype():
    module = Normalize(tiny.config({"model.dtype": "bfloat16"}).model, "layernorm")
    x = jnp.asarray(np.random.default_rng(0).normal(30, 1, (3, 512)), jnp.bfloat16)
    y, variables = module.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16 and variables["params"]["scale"].dtype == jnp.float32
    assert tiny.same(y, jnp.asarray(layer_norm(x.astype(jnp.float32), 1e-6), jnp.bfloat16))


ONE_NORM = {
    "pre": {"model.slots.pre": True},
    "branch": {"model.slots.branch": True},
    "main": {"model.slots.main": True},
    "final": {"model.slots.final": True},
    "qk layernorm": {"model.qk_norm": "layernorm"},
    "qk rmsnorm": {"model.qk_norm": "rmsnorm"},
}


@pytest.mark.parametrize("site", ONE_NORM)
def test_eps_of_the_config_reaches(site):
    logits = []
    for eps in (1e-6, 0.5):
        program, numbers = tiny.cell(ONE_NORM[site] | {"model.wiring": "custom", "model.norm.eps": eps})
        logits.append(tiny.logits(program)(tiny.params(program), numbers, tiny.batch()))
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
