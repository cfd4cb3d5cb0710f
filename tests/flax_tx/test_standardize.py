"""The backward passes that are written out are those that JAX would find, and keep less."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flax_tx import stack
from flax_tx.norms import NORMS
from flax_tx.standardize import FASTER
from tests.flax_tx import tiny


@pytest.mark.parametrize("formula", FASTER)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 40]), st.sampled_from([1e-6, 0.5]), st.sampled_from([0.1, 3.0])
)
def test_value_and_gradient_are_those_of_the_formula(formula, seed, width, eps, scale):
    rng = np.random.default_rng(seed)
    x, g = (jnp.asarray(rng.normal(1, scale, (2, 3, width)), jnp.float32) for _ in range(2))
    ours, back = jax.vjp(functools.partial(FASTER[formula], eps=eps), x)
    theirs, autodiff = jax.vjp(functools.partial(formula, eps=eps), x)
    np.testing.assert_array_equal(ours, theirs)
    (ours,), (theirs,) = back(g), autodiff(g)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(jnp.abs(theirs).max() + 1))


def test_they_are_the_formulas_of_layernorm_and_rmsnorm():
    assert {kind for kind, row in NORMS.items() if row.formula in FASTER} == {"layernorm", "rmsnorm"}


def kept(policy: str | None, monkeypatch) -> int:
    """Bytes that the gradient of twelve layers in a loop needs."""
    if policy:
        monkeypatch.setitem(stack.KEEPS, "none", getattr(jax.checkpoint_policies, policy))
    deep = {"model.num_layers": 12, "data.seq_len": 64, "model.unroll": 1}
    program, numbers = tiny.cell(deep)
    gradients = jax.jit(functools.partial(tiny.gradients(program).__wrapped__), compiler_options=tiny.CPU)
    lowered = gradients.lower(tiny.params(program), numbers, tiny.batch(8, 64))
    return lowered.compile().memory_analysis().temp_size_in_bytes


def test_a_loop_keeps_less_than_everything_and_more_than_products_with_kernels(monkeypatch):
    usual = kept(None, monkeypatch)
    assert usual < 0.7 * kept("everything_saveable", monkeypatch)
    assert usual > kept("dots_with_no_batch_dims_saveable", monkeypatch)
