"""Closed forms against the shapes that Flax makes and against XLA's own count; nothing is compiled."""

import functools

import jax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flax_tx import cost, memory, train
from flax_tx.config import resolve
from flax_tx.layout import LAYOUTS
from flax_tx.norms import NORMS, QK_NORMS
from flax_tx.schema import ACTIVATIONS, OPTIMIZERS, POSITIONS, V_NORMS, VALUE_RESIDUALS
from flax_tx.values import values
from flax_tx.wiring import SLOTS, WIRINGS
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
    "qk_norm": st.sampled_from([None, *QK_NORMS]),
    "qk_norm_over": st.sampled_from(["head", "all"]),
    "v_norm": st.sampled_from([None, *V_NORMS]),
    "num_kv_heads": st.sampled_from([None, 1]),
    "layout": st.sampled_from([*LAYOUTS]),
    "head_scale": MAYBE,
    "input_bias": MAYBE,
    "tie": st.sampled_from([1, 1, 2]),
}
BLOCKS = st.fixed_dictionaries(BLOCK)
SEGMENTS = st.just(()) | st.tuples(BLOCKS, BLOCKS).map(lambda pair: [run | {"num_layers": 2} for run in pair])
STACK = st.fixed_dictionaries(
    {
        "positions": st.sampled_from(POSITIONS),
        "slots.final": MAYBE,
        "segments": SEGMENTS,
        "reparam": st.sampled_from([None, "sigma", "sphere"]),
        "value_residual": st.sampled_from([*VALUE_RESIDUALS]),
        "embed_norm": st.sampled_from(V_NORMS),
        "num_streams": st.sampled_from([1, 3]),
        "encoder_layers": st.sampled_from([None, 4]),
    }
)
TASKS = st.sampled_from(["markov1", "markov1", "translation"])


def sizes(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@settings(max_examples=40, deadline=None)
@given(BLOCKS, STACK, TASKS, st.fixed_dictionaries({f"slots.{slot}": st.booleans() for slot in SLOTS[:4]}))
def test_parameters_are_those_that_flax_makes(block, stack, name, slots):
    model = block | stack | (slots if block["wiring"] == "custom" else {})
    fields = {f"model.{field}": value for field, value in model.items()} | {"data.name": name}
    config, problems = resolve(tiny.TINY | {"model.num_layers": 2 + 2 * bool(stack["segments"])} | fields)
    assume(not problems)
    task = "translate" if name == "translation" else "lm"
    program = tiny.program(config, task, outputs=5)
    state = jax.eval_shape(functools.partial(train.init, program), values(config))
    assert cost.params(config.model, tiny.VOCAB, 5, tiny.LENGTH, task) == sizes(state.params)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_takes_the_bytes_it_is_said_to_take(name):
    program, _ = tiny.cell({"optim.name": name})
    state = tiny.shapes(program)
    leaves = jax.tree.leaves((state.params, state.moments))
    said = memory.state_bytes(sizes(state.params), name)
    assert sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) - said in (0, 4)  # Adam also counts its steps


LARGE = {"model.width": 128, "data.seq_len": 64, "train.batch_size": 2, "model.unroll": 8}
CASES = [
    {},
    {"model.activation": "swiglu", "model.num_heads": 4, "model.head_dim": 48, "model.num_ffn": 2},
    {"data.seq_len": 256, "model.mlp_dim": 64, "model.num_layers": 1},
]


@pytest.mark.parametrize("task", ["lm", "classify", "translate"])
@pytest.mark.parametrize("changes", CASES, ids=["plain", "gated", "long"])
def test_flops_are_those_that_xla_counts(changes, task):
    """XLA also counts what is not a matrix product: a few percent more, never less."""
    name = "translation" if task == "translate" else "markov1"
    config = tiny.config(LARGE | changes | {"data.name": name})
    program = tiny.program(config, task=task, outputs=50)
    batch = dict(tiny.batch(2, config.data.seq_len))
    if task == "translate":
        batch["source"] = batch["inputs"]
    if task == "classify":
        batch["targets"] = batch["targets"][:, 0]
    lowered = tiny.gradients(program).lower(tiny.shapes(program).params, values(config), batch, 0)
    ratio = lowered.cost_analysis()["flops"] / cost.flops_per_step(config, 50, task)
    assert 1 < ratio < 1.06
