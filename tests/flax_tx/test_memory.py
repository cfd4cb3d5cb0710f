"""What training is said to take of memory is what XLA asks for, or somewhat more."""

import jax
import jax.numpy as jnp
import pytest

from flax_tx import data
from flax_tx.config import resolve
from flax_tx.memory import CARRIED, training_bytes
from flax_tx.streams import stream_of
from flax_tx.wiring import WIRINGS
from tests.flax_tx import tiny
from tests.flax_tx.asked import asked

BASE = {"data.name": "markov1", "data.vocab_size": 64, "model.width": 32, "model.num_heads": 4, "data.seq_len": 64}
LOOP = {"model.num_layers": 16, "model.unroll": 1}
CASES = {
    "unrolled": {"model.num_layers": 2},
    "unrolled, gated": {
        "model.num_layers": 2,
        "model.wiring": "sandwich",
        "model.activation": "swiglu",
        "model.dtype": "bfloat16",
    },
    "loop": LOOP,
    "dots": LOOP | {"model.remat": "dots"},
    "block": LOOP | {"model.remat": "block"},
    "long": LOOP | {"data.seq_len": 256, "train.batch_size": 4},
    "streams": LOOP | {"model.wiring": "hyper-connections"},
    "history": LOOP | {"model.wiring": "attention-residuals"},
}


@pytest.mark.parametrize("name", CASES)
def test_training_takes_what_xla_asks_for_or_somewhat_more(name):
    config, problems = resolve(BASE | CASES[name])
    assert not problems
    about = data.describe(config.data)
    said = training_bytes(config, about.vocab_size, about.vocab_size)
    assert 1 < said / asked(config, about) < 2


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_stream_carries_as_many_arrays_as_are_counted(wiring):
    program, _ = tiny.cell({"model.wiring": wiring})
    model, x = program.config.model, jnp.zeros((6, program.config.model.width))
    opened = jax.eval_shape(lambda: stream_of(model).open(model, x, 12))
    arrays = sum(leaf.size // x.size for leaf in jax.tree.leaves(opened))
    assert arrays == CARRIED.get(WIRINGS[wiring].stream, lambda *_: 1)(model, 12)
