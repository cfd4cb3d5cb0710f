"""Attention against NumPy in float64, and what must not be able to reach what."""

import functools

import jax
import numpy as np
import pytest

from flax_tx.attention import Attention, Tokens, rotate, sinusoids
from flax_tx.norms import NORMS
from flax_tx.wiring import WIRINGS
from tests.flax_tx import reference, tiny

MASK = np.arange(tiny.LENGTH) < np.array([8, 5, 1, 6])[:, None]
CASES = {
    "causal": ({}, True, None, {}),
    "padding": ({"model.bias": True, "model.num_heads": 4}, False, MASK, {}),
    "causal and padding": ({}, True, MASK, {}),
    "rotary": ({"model.positions": "rotary", "model.head_dim": 6}, True, None, {"rotary": True}),
    "qk_norm": (
        {"model.positions": "rotary", "model.qk_norm": "layernorm", "model.norm.eps": 0.1},
        False,
        None,
        {"rotary": True, "qk_norm": "layernorm", "eps": 0.1},
    ),
}
X = np.random.default_rng(0).normal(size=(tiny.BATCH, tiny.LENGTH, 16)).astype(np.float32)
COTANGENT = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)


@functools.cache
def module(case):
    """(forward, gradient of <COTANGENT, output>, parameters, the same in NumPy) of the attention of a case."""
    changes, causal, mask, rules = CASES[case]
    model = tiny.config(changes).model
    tokens = Tokens(X.shape[:2], causal, mask)

    def apply(params, x):
        flat = Attention(model).apply({"params": params}, x.reshape(-1, 16), tokens, 1.0, 1.0, 0.0)
        return flat.reshape(x.shape)

    def expected(params, x):
        return reference.attention(params, x, model.num_heads, causal=causal, mask=mask, **rules)

    pull = tiny.compiled(jax.grad(lambda tree: (apply(*tree) * COTANGENT).sum()))
    init = functools.partial(Attention(model).init, jax.random.key(0))
    params = tiny.fill(jax.eval_shape(init, X.reshape(-1, 16), tokens, 1.0, 1.0, 0.0)["params"])
    return tiny.compiled(apply), pull, params, expected


@pytest.mark.parametrize("case", CASES)
def test_forward_and_gradient_are_those_of_numpy(case):
    forward, pull, params, expected = module(case)
    tree = tiny.wide((params, X))
    np.testing.assert_allclose(forward(params, X), expected(*tree), atol=1e-5)
    tiny.check_gradients(pull((params, X)), lambda tree: np.sum(expected(*tree) * COTANGENT), tree)


def test_without_queries_attention_is_uniform():
    forward, _, params, _ = module("causal")
    flat = params | {"query": {"kernel": 0 * params["query"]["kernel"]}}
    value, out = (tiny.wide(params[name]["kernel"]) for name in ("value", "out"))
    mean = np.cumsum(np.float64(X), axis=1) / np.arange(1, tiny.LENGTH + 1)[:, None]
    np.testing.assert_allclose(forward(flat, X), mean @ value @ out, atol=1e-5)


def test_heads_have_no_order():
    forward, _, params, _ = module("padding")
    order = np.arange(16).reshape(4, 4)[[2, 0, 3, 1]].ravel()
    turned = {
        name: {"kernel": params[name]["kernel"][:, order], "bias": params[name]["bias"][order]}
        for name in ("query", "key", "value")
    }
    turned["out"] = {"kernel": params["out"]["kernel"][order], "bias": params["out"]["bias"]}
    np.testing.assert_allclose(forward(turned, X), forward(params, X), atol=2e-6)
    turned["value"] = params["value"]
    assert np.abs(forward(turned, X) - forward(params, X)).max() > 0.1


def test_the_same_seed_gives_the_same_kernels_at_every_head_count():
    def init(heads):
        attention = Attention(tiny.config({"model.num_heads": heads}).model)
        start = functools.partial(attention.init, tokens=Tokens((1, 2), True), init_gain=1.0, out_gain=1.0, rate=0.0)
        return tiny.compiled(start)(jax.random.key(0), np.zeros((2, 16), np.float32))["params"]

    one, four = init(1), init(4)
    assert tiny.same(one, four)
    assert sum(leaf.size for leaf in jax.tree.leaves(one)) == 4 * 16**2


def test_rotary_products_depend_on_the_distance_alone():
    q, k = np.random.default_rng(0).normal(size=(2, 6))
    turned = rotate(np.float32(np.broadcast_to(np.stack([q, k]), (1, 9, 2, 6))))
    products = np.asarray(turned[0, :, 0] @ turned[0, :, 1].T)
    np.testing.assert_allclose(products[1:, 1:], products[:-1, :-1], atol=1e-5)
    np.testing.assert_allclose(np.diag(products), q @ k, atol=1e-5)
    assert np.abs(products[0] - products[0, 0])[1:].min() > 1e-3


@pytest.mark.parametrize("width", [8, 7])
def test_sinusoids_are_those_of_the_paper(width):
    expected = [
        [(np.cos if i % 2 else np.sin)(t / 10000 ** ((i - i % 2) / width)) for i in range(width)] for t in range(5)
    ]
    np.testing.assert_allclose(sinusoids(5, width), expected, atol=1e-6)


ALL_SLOTS = {f"model.slots.{slot}": True for slot in ("pre", "branch", "main", "final")}
GATES = {f"model.gains.{gain}": 0.7 for gain in ("pre", "branch", "skip")}


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("wiring", WIRINGS)
def test_no_logit_feels_a_later_token(wiring, kind):
    """Row s of the position table reaches logit t of the only sequence if and only if s <= t."""
    more = ALL_SLOTS | GATES if wiring == "custom" else {}
    program, numbers = tiny.cell({"model.wiring": wiring, "model.norm.kind": kind, "model.num_ffn": 1} | more)
    params, batch = tiny.params(program), tiny.batch(rows=1)

    def logit(table, weights):
        embed = params["embed"] | {"positions": table}
        variables = {"params": params | {"embed": embed}}
        return (program.model().apply(variables, batch["inputs"], numbers["model"]) * weights).sum()

    pull = tiny.compiled(jax.grad(logit))
    weights = np.random.default_rng(0).normal(size=(tiny.LENGTH, tiny.VOCAB)).astype(np.float32)
    for t in range(tiny.LENGTH):
        felt = np.asarray(pull(params["embed"]["positions"], weights * (np.arange(tiny.LENGTH) == t)[:, None]))
        assert np.all(felt[t + 1 :] == 0)
        assert np.all(np.abs(felt[: t + 1]).max(axis=-1) > 0)


def test_padding_cannot_reach_a_classifier():
    program, numbers = tiny.cell({"model.qk_norm": "rmsnorm"}, task="classify", outputs=5)
    params, tokens = tiny.params(program), tiny.batch()["inputs"]
    others = np.where(MASK, tokens, (tokens + 3) % tiny.VOCAB)
    logits = [tiny.logits(program)(params, numbers, {"inputs": t, "mask": MASK}) for t in (tokens, others)]
    assert logits[0].shape == (tiny.BATCH, 5)
    assert tiny.same(*logits)
    seen = tiny.logits(program)(params, numbers, {"inputs": others, "mask": np.ones_like(MASK)})
    assert np.all(np.abs(seen - logits[1]).max(axis=1)[1:] > 1e-3)
