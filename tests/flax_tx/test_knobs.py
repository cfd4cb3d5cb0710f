"""No dead knobs: every field of the schema, changed alone, changes the start or three steps of training."""

import functools

import jax
import pytest

from flax_tx import data, train
from flax_tx.config import Config, knobs, structure
from flax_tx.data import batches
from flax_tx.values import values
from tests.flax_tx import changes, tiny


@pytest.fixture(scope="module", autouse=True)
def _data_dir(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("prepared")))
        yield


@functools.cache
def program(config: Config) -> train.Program:
    about = data.describe(config.data)
    return train.Program(structure(config), about.task, about.vocab_size, about.num_classes or about.vocab_size)


@functools.cache
def first_loss(config: Config):
    """What a step minimises, with parameters, batch and masks that depend on no seed."""
    batch = batches.draw(config.data, tiny.load(config.data), jax.random.key(0), config.train.batch_size)
    return tiny.loss(program(config))(tiny.params(program(config)), values(config), batch)[0]


@functools.cache
def start(config: Config) -> train.State:
    return tiny.init(program(config))(values(config))


@functools.cache
def three_steps(config: Config) -> train.State:
    return tiny.chunk(program(config))(values(config), tiny.load(config.data), start(config), 3)[0]


def test_every_knob_has_a_change():
    assert set(changes.ALL) == set(knobs())


@pytest.mark.parametrize("name", changes.LIVE)
def test_a_knob_is_alive(name):
    value, context = changes.LIVE[name]
    before, after = tiny.config(context), tiny.config(context | {name: value})
    stages = (first_loss, start, three_steps)
    assert any(not tiny.same(stage(before), stage(after)) for stage in stages)
