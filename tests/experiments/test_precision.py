"""Precision: float32 stays float32 on every device, bfloat16 is of activations alone, in groups too."""

import functools

import jax
import numpy as np
import pytest

from experiments.compiled import MAPPED, stacked
from flax_tx import compilation, data, train
from tests.flax_tx import tiny

SIZE = 3


@pytest.fixture
def no_precision():
    """JAX's precision as nobody has set it, before and after."""
    before = jax.config.jax_default_matmul_precision
    jax.config.update("jax_default_matmul_precision", None)
    yield
    jax.config.update("jax_default_matmul_precision", before)


def traced(changes):
    """(program, the state of SIZE cells, the jaxpr of a chunk of them)."""
    program, numbers = tiny.cell(changes)
    arrays = data.load(program.config.data)
    state = stacked(jax.eval_shape(functools.partial(train.init, program), numbers), SIZE)
    chunk = jax.vmap(functools.partial(train.chunk, program), MAPPED[train.chunk])
    return state, jax.make_jaxpr(chunk)(stacked(numbers, SIZE), arrays, state, np.ones(SIZE, np.int32))


def products(jaxpr):
    """Every matrix product, those of inner functions too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "jaxpr") or hasattr(p, "eqns")):
            if hasattr(inner, "jaxpr") or hasattr(inner, "eqns"):
                yield from products(getattr(inner, "jaxpr", inner))


@pytest.mark.parametrize("wiring", ["pre", "deepnorm", "rezero"])
def test_a_group_in_bfloat16_has_its_state_in_float32_and_its_products_in_bfloat16(wiring):
    state, jaxpr = traced({"model.dtype": "bfloat16", "model.wiring": wiring})
    assert {str(leaf.dtype) for leaf in jax.tree.leaves((state.params, state.moments))} <= {"float32", "int32"}
    assert [leaf.aval.dtype for leaf in jaxpr.jaxpr.outvars[: len(jax.tree.leaves(state))]] == [
        leaf.dtype for leaf in jax.tree.leaves(state)
    ]
    kinds = [{str(v.aval.dtype) for v in (*p.invars, *p.outvars)} for p in products(jaxpr.jaxpr)]
    assert kinds.count({"float32"}) == 3  # the head, forwards and backwards
    assert all(kind == {"bfloat16"} for kind in kinds if kind != {"float32"}) and len(kinds) > 10


def test_float32_is_made_in_float32_where_the_device_would_take_less(no_precision, monkeypatch):
    assert compilation.exact_products() == "float32"
    assert jax.config.jax_default_matmul_precision is None  # a CPU makes it anyway, and compiles what it did
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compilation.exact_products() == "float32"
    _, jaxpr = traced({})
    assert {product.params["precision"] for product in products(jaxpr.jaxpr)} == {(jax.lax.Precision.HIGHEST,) * 2}


def test_a_precision_that_was_asked_for_stays_and_is_said(no_precision, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    jax.config.update("jax_default_matmul_precision", "tensorfloat32")
    assert compilation.exact_products() == "tensorfloat32"
