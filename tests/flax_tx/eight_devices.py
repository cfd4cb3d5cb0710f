"""Cells on a mesh of eight devices, beside the same cells on one; run by test_mesh.py in a process that has eight."""

import functools

import jax
import numpy as np
import pytest

from flax_tx import axes, cost, memory, probes, sharding, train
from flax_tx.data import batches
from tests.flax_tx import tiny

STEPS = 6
BASE = {
    "model.width": 32,
    "model.num_heads": 4,
    "train.batch_size": 8,
    "train.chunk_steps": STEPS,
    "train.steps": STEPS,
    "data.vocab_size": 12,
    "optim.eps": 1e-4,  # else Adam makes steps of gradients that are zero but for the order of a sum
}
ALL_AXES = {"mesh.data": 2, "mesh.fsdp": 2, "mesh.tensor": 2}
MESHES = {"data": {"mesh.data": 8}, "fsdp": {"mesh.fsdp": 8}, "all": ALL_AXES}
CELLS = {
    "hyper-connections with grouped queries": {
        "model.wiring": "dynamic-hyper-connections",
        "model.num_kv_heads": 2,
        "model.positions": "rotary",
        "model.remat": "block",
    },
    "DeepNorm, encoder and decoder": {"model.wiring": "deepnorm", "data.name": "translation", "model.remat": "dots"},
    "SiameseNorm with dropout": {"model.wiring": "siamese", "model.dropout.branch": 0.1, "model.activation": "swiglu"},
    "σReparam in a tied stack": {"model.reparam": "sigma", "model.tie": 2, "model.bias": True},
}


class Cell:
    """A tiny cell and the functions that train it, compiled for where its state lies."""

    def __init__(self, changes):
        self.config = tiny.config(BASE | changes)
        task = "translate" if self.config.data.name == "translation" else "lm"
        self.program, self.numbers = tiny.program(self.config, task, 12, 12), tiny.values(self.config)
        self.arrays = jax.device_put(tiny.load(self.config.data), sharding.everywhere(self.config.mesh))
        self.state = tiny.init(self.program)(self.numbers)

    @functools.cached_property
    def trained(self):
        """(state, rows) after six steps."""
        return tiny.chunk(self.program)(self.numbers, self.arrays, self.state, STEPS)

    def call(self, function, *arguments):
        return tiny.compiled(functools.partial(function, self.program))(self.numbers, *arguments)


@functools.cache
def cell(*changes):
    return Cell(dict(changes))


def pair(changes, mesh):
    """The same cell on one device and on a mesh."""
    return cell(*changes.items()), cell(*(changes | mesh).items())


def close(found, expected, rtol=1e-5, atol=1e-5):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=rtol, atol=atol), found, expected)


slow = pytest.mark.slow


@pytest.mark.parametrize("name", [pytest.param("data", marks=slow), pytest.param("fsdp", marks=slow), "all"])
def test_a_mesh_trains_as_one_device(name):
    one, many = pair({}, MESHES[name])
    close(many.trained[1], one.trained[1])
    assert one.trained[1]["train_loss"][-1] < one.trained[1]["train_loss"][0] - 0.01


@pytest.mark.parametrize(
    "changes", [pytest.param(changes, marks=[slow] * bool(i)) for i, changes in enumerate(CELLS.values())], ids=CELLS
)
def test_streams_and_models_of_all_kinds_train_on_a_mesh_as_on_one_device(changes):
    one, many = pair(changes, ALL_AXES)
    close(many.trained[1], one.trained[1])


def test_the_start_is_the_same_on_a_mesh():
    one, many = pair({}, ALL_AXES)
    close(many.state.params, one.state.params, rtol=1e-6, atol=1e-6)


def bytes_of(state):
    """(bytes on the fullest device, bytes of all arrays once)."""
    leaves = jax.tree.leaves(state)
    held = sum(max(shard.data.nbytes for shard in leaf.addressable_shards) for leaf in leaves)
    return held, sum(leaf.nbytes for leaf in leaves)


@slow
def test_each_device_holds_what_the_closed_form_says():
    for changes in ({}, *CELLS.values()):
        many = cell(*(changes | ALL_AXES).items())
        params = cost.params_held(many.config, 12, 12, many.program.task)
        assert bytes_of(many.state.params)[0] == 4 * params
        assert bytes_of(many.state)[0] == pytest.approx(memory.state_bytes(params, "adamw"), abs=64)


@slow
def test_parameters_and_moments_are_split_and_so_is_their_making():
    wide = {"model.width": 128, "model.num_layers": 3, "mesh.fsdp": 8}
    many = cell(*wide.items())
    held, total = bytes_of(many.state)
    assert 1 / 8 <= held / total < 1 / 7
    made = tiny.init(many.program).lower(many.numbers).compile().memory_analysis()
    assert made.temp_size_in_bytes + made.output_size_in_bytes < total / 2
    shapes = sharding.shapes(many.config.mesh, tiny.shapes(many.program))
    step = tiny.chunk(many.program).lower(many.numbers, many.arrays, shapes, STEPS).compile().memory_analysis()
    alone = cell(*(wide | {"mesh.fsdp": 1}).items())
    whole = tiny.chunk(alone.program).lower(alone.numbers, alone.arrays, alone.state, STEPS).compile()
    assert step.argument_size_in_bytes < whole.memory_analysis().argument_size_in_bytes / 6
    assert step.temp_size_in_bytes < whole.memory_analysis().temp_size_in_bytes / 2


def test_a_step_leaves_every_array_where_it_lay():
    many = pair({}, ALL_AXES)[1]
    for before, after in zip(*map(jax.tree.leaves, (many.state, many.trained[0])), strict=True):
        assert after.sharding.is_equivalent_to(before.sharding, before.ndim)


@slow
def test_the_kernels_of_every_model_are_split_over_all_axes_that_split_parameters():
    for changes in ({}, *CELLS.values()):
        params = cell(*(changes | ALL_AXES).items()).state.params
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
            if path[-1].key in ("kernel", "embedding"):
                assert leaf.addressable_shards[0].data.size * 4 == leaf.size, path


@slow
def test_results_are_whole_on_every_device_and_the_same():
    one, many = pair({}, ALL_AXES)
    for own in (one, many):
        own.diagnosed = own.call(train.diagnose, own.arrays, own.state)
        held = batches.held_out(own.config.data, tiny.load(own.config.data), "validation", 6)
        own.scores = own.call(train.evaluate, own.state.params, {name: a[None] for name, a in held.items()})
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves((many.diagnosed, many.scores)))
    close(many.diagnosed, one.diagnosed, rtol=2e-5)
    close(many.scores, one.scores)


@slow
def test_probes_of_the_start_see_the_same_on_a_mesh():
    probed = {"probe.start": True, "probe.update": True}
    one, many = pair(probed, ALL_AXES)
    (params, batch, grads, seen), (_, _, others, same) = (own.call(probes.start, own.arrays) for own in (one, many))
    close(same, seen, rtol=1e-4)
    close(others, grads, rtol=1e-4)
    close(many.call(probes.look, batch, params)["features"], one.call(probes.look, batch, params)["features"])


def test_a_cell_of_one_device_is_the_same_to_the_bit_beside_seven_others():
    assert jax.device_count() == 8
    print("LOSSES", np.asarray(cell().trained[1]["train_loss"]).tobytes().hex())


def test_more_devices_than_there_are_is_a_line():
    with pytest.raises(sharding.UserError, match=r"mesh\.data \* .* = 16: expected at most the 8 devices"):
        Cell({"mesh.data": 16, "train.batch_size": 16})


@slow
def test_every_row_of_the_table_of_arrays_is_of_some_parameter():
    whole = {"model.activation": "swiglu", "data.name": "translation"}
    state = cell(*(whole | ALL_AXES).items()).state.params
    paths = [sharding.path_of(path) for path, _ in jax.tree_util.tree_flatten_with_path(state)[0]]
    assert all(any(path.endswith(f"/{end}") for path in paths) for end in axes.ARRAYS)
