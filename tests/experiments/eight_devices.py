"""The engine with cells on a mesh; run by test_mesh.py in a process that has eight devices."""

import jax
import numpy as np
import pytest

from experiments import checkpoints, engine, records
from experiments.group import Group
from experiments.member import Member
from experiments.runs import Run
from experiments.settings import Settings
from flax_tx.values import values
from tests.experiments import tiny
from tests.experiments.test_checkpoints import PROBED, outcome, resumed_at, train

ALL_AXES = ("--config.mesh.data=2", "--config.mesh.fsdp=2", "--config.mesh.tensor=2")
ONE_CELL = ("--config.model.wiring=pre", "--config.optim.learning_rate=1e-2", "--config.seed.init=0")
NEVER = Settings(checkpoint_seconds=-1)


def trained(folder, text, *arguments):
    """(workdir, cell) of a cell that was never interrupted."""
    workdir, made = tiny.prepare(folder, text, (*ONE_CELL, *arguments))
    train(workdir, made, NEVER)
    return workdir, *made.cells


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A cell on eight devices: (workdir, cell)."""
    return trained(tmp_path_factory.mktemp("whole"), tiny.SWEEP, *ALL_AXES)


def test_an_interrupted_cell_on_a_mesh_ends_as_an_uninterrupted_one_to_the_bit(whole, tmp_path):
    workdir, made = tiny.prepare(tmp_path, tiny.SWEEP, ONE_CELL + ALL_AXES)
    train(workdir, made, stop=2)
    assert resumed_at(workdir, made) == {whole[1]: 12}
    assert outcome(workdir, whole[1]) == outcome(*whole)


@pytest.mark.slow
def test_a_cell_on_a_mesh_has_the_records_of_the_cell_on_one_device(tmp_path):
    alone, whole = trained(tmp_path / "one", PROBED), trained(tmp_path / "many", PROBED, *ALL_AXES)
    for load in (records.load_metrics, records.load_layers, records.load_probes):
        one, many = (load(folder, [cell]).drop(columns="cell") for folder, cell in (alone, whole))
        assert list(one.columns) == list(many.columns)
        for column in one:
            if one[column].dtype.kind == "f":
                np.testing.assert_allclose(many[column], one[column], rtol=1e-4, atol=1e-5, err_msg=column)
            else:
                assert list(many[column]) == list(one[column])
    ends = [records.outcome(*place) for place in (alone, whole)]
    np.testing.assert_allclose(ends[1]["val_loss"], ends[0]["val_loss"], rtol=1e-5)


def test_a_checkpoint_is_read_into_the_devices_that_hold_it(whole, tmp_path):
    config = engine.read_config(*whole)
    compiled = engine.compile_program(config)
    group = Group(compiled)
    group.enter(Member(whole[1], config, run=Run(compiled.training.init(values(config)), [], [])))
    group.advance()
    run = group.show(0)
    checkpoints.save(tmp_path / "cell", run, {"code": "x"})
    again = checkpoints.load(tmp_path / "cell" / "5.json", run.state, {"code": "x"})
    for kept, back in zip(*(jax.tree.leaves(one.state) for one in (run, again)), strict=True):
        assert back.sharding.is_equivalent_to(kept.sharding, kept.ndim)
        np.testing.assert_array_equal(back, kept)


def test_a_mesh_without_devices_fails_its_cells_with_a_line(tmp_path):
    text = tiny.SWEEP.replace("c.train.batch_size = 4", "c.train.batch_size = 16")
    workdir, made = tiny.prepare(tmp_path, text, (*ONE_CELL, "--config.mesh.data=16"))
    train(workdir, made, NEVER)
    (end,) = (records.outcome(workdir, cell) for cell in made.cells)
    assert end["status"] == "failed" and "expected at most the 8 devices" in end["reason"]
