"""Closed forms against the shapes that Flax makes and against XLA's own count; nothing is compiled."""

import functools

import jax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flax_tx import cost
from flax_tx.config import resolve
from flax_tx.norms import NORMS
from flax_tx.schema import ACTIVATIONS, OPTIMIZERS, POSITIONS, QK_NORMS
from flax_tx.values import values
from flax_tx.wiring import WIRINGS
from tests.flax_tx import tiny

MAYBE = st.sampled_from([None, True, False])
BLOCK = {
    "wiring": st.sampled_from([*WIRINGS]),
    "norm.kind": st.sampled_from([*NORMS]),
    "norm.scale": MAYBE,
    "norm.bias": MAYBE,
    "num_heads": st.sampled_from([1, 4]),
    "head_dim": st.sampled_from([None, 6]),
    "mlp_dim": st.sampled_from([None, 24]),
    "num_ffn": st.integers(0, 2),
    "activation": st.sampled_from([*ACTIVATIONS]),
    "bias": st.booleans(),
    "qk_norm": st.sampled_from(QK_NORMS),
}
BLOCKS = st.fixed_dictionaries(BLOCK)
SEGMENTS = st.just(()) | st.tuples(BLOCKS, BLOCKS)
STACK = st.fixed_dictionaries({"positions": st.sampled_from(POSITIONS), "slots.final": MAYBE, "segments": SEGMENTS})


def sizes(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@settings(max_examples=25, deadline=None)
@given(BLOCKS, STACK, st.fixed_dictionaries({f"slots.{slot}": st.booleans() for slot in ("pre", "branch", "main")}))
def test_parameters_are_those_that_flax_makes(block, stack, slots):
    model = block | stack | (slots if block["wiring"] == "custom" else {})
    config, problems = resolve(tiny.TINY | {f"model.{name}": value for name, value in model.items()})
    assume(not problems)
    program = tiny.program(config, outputs=5)
    shapes = jax.eval_shape(functools.partial(init, program), values(config)["model"])
    assert cost.params(config.model, tiny.VOCAB, 5, tiny.LENGTH) == sizes(shapes)


def init(program, numbers):
    tokens = jax.numpy.zeros((1, tiny.LENGTH), int)
    return program.model().init(jax.random.key(0), tokens, numbers)["params"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_takes_the_bytes_it_is_said_to_take(name):
    program, _ = tiny.cell({"optim.name": name})
    state = tiny.shapes(program)
    leaves = jax.tree.leaves((state.params, state.moments))
    said = cost.state_bytes(sizes(state.params), name)
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) - said in (0, 4)  # Adam also counts its steps


LARGE = {"model.width": 128, "data.seq_len": 64, "train.batch_size": 2, "model.unroll": 8}
CASES = [
    {},
    {"model.activation": "swiglu", "model.num_heads": 4, "model.head_dim": 48, "model.num_ffn": 2},
    {"data.seq_len": 256, "model.mlp_dim": 64, "model.num_layers": 1},
]


@pytest.mark.parametrize("task", ["lm", "classify"])
@pytest.mark.parametrize("changes", CASES, ids=["plain", "gated", "long"])
def test_flops_are_those_that_xla_counts(changes, task):
    """XLA also counts what is not a matrix product: a few percent more, never less."""
    config = tiny.config(LARGE | changes)
    program = tiny.program(config, task=task, outputs=50)
    batch = dict(tiny.batch(2, config.data.seq_len))
    if task == "classify":
        batch["targets"] = batch["targets"][:, 0]
    lowered = tiny.gradients(program).lower(tiny.shapes(program).params, values(config), batch, 0)
    ratio = lowered.cost_analysis()["flops"] / cost.flops_per_step(config, 50, task)
    assert 1 < ratio < 1.06
