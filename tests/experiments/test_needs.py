"""What a lane is said to need is what XLA asks for, or somewhat more."""

import functools

import jax
import numpy as np
import pytest

from experiments import records
from experiments.executors import needs
from flax_tx import cost, data, train
from flax_tx.config import resolve, structure, to_dict
from flax_tx.values import values

BASE = {"data.name": "markov1", "data.vocab_size": 64, "model.num_layers": 2, "model.width": 32, "model.num_heads": 4}
CASES = [{"data.seq_len": 128}, {"model.wiring": "sandwich", "model.activation": "swiglu", "model.dtype": "bfloat16"}]


def asked(config, about):
    """Bytes that XLA allocates for a chunk of training."""
    program = train.Program(structure(config), about.task, about.vocab_size, about.vocab_size)
    arrays, numbers = data.load(config.data), values(config)
    shapes = (numbers, arrays, jax.eval_shape(functools.partial(train.init, program), numbers))
    chunk = jax.jit(functools.partial(train.chunk, program), donate_argnums=2)
    found = chunk.lower(*shapes, np.int32(1)).compile().memory_analysis()
    return found.temp_size_in_bytes + found.argument_size_in_bytes


@pytest.mark.parametrize("changes", CASES, ids=["long", "gated"])
def test_training_needs_what_xla_asks_for_or_somewhat_more(changes):
    config, problems = resolve(BASE | changes)
    assert not problems
    about = data.describe(config.data)
    said = cost.training_bytes(config, about.vocab_size, about.vocab_size)
    assert 1 < said / asked(config, about) < 3


def test_a_lane_needs_its_process_and_its_model(tmp_path):
    config, _ = resolve(BASE)
    records.write_cell_config(tmp_path, "a", records.plain(to_dict(config)))
    assert needs.memory(tmp_path, "a") == needs.PROCESS + cost.training_bytes(config, 64, 64)
