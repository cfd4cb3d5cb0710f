"""Cells that train together: the numbers of each are those that it has alone, whatever its neighbours do."""

import dataclasses
import json

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.errors import JaxRuntimeError

from experiments import compiled, engine, fitting, member, plan, records
from experiments.settings import Settings
from flax_tx.schema import Mesh
from tests.experiments import tiny

TOLERANCE = 1e-5  # on every number of 12 steps: sums are taken in another order (measured: 2e-6 relative)
SWEEP = tiny.SWEEP.replace('["post", "pre"]', '["pre"]').replace('baseline={"model.wiring": "post"}', "baseline=None")
SWEEP = SWEEP.replace('"seed.init", [0, 1]', '"seed.init", [0, 1, 2]')
SWEEP = SWEEP.replace("return c", "c.model.unroll = 1\n    return c")
PROBED = SWEEP.replace("return c", "c.probe.start = c.probe.layers = True\n    return c")
DIVERGING = SWEEP.replace("[1e-2, 3e-2]", "[1e-2, 1e30]").replace("return c", 'c.optim.name = "sgd"\n    return c')
ALWAYS = 0.0  # seconds between two checkpoints


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Every program of this module is compiled once for each size."""
    with pytest.MonkeyPatch.context() as patch:
        compile_training, known = compiled.compile_training, {}

        def remember(program, config, arrays, held_out, size=1):
            if (program, size) not in known:
                known[program, size] = compile_training(program, config, arrays, held_out, size)
            return known[program, size]

        patch.setattr(compiled, "compile_training", remember)
        yield


@pytest.fixture(autouse=True)
def forgetful(tmp_path, monkeypatch):
    """What one test remembers of the device is not what the next one knows."""
    monkeypatch.setattr(fitting, "key", lambda program, _: tmp_path / f"{program}.json")


def run(workdir, made, group, stop=None, **kwargs):
    """The events of all cells, so many at a time; with `stop` only up to that many reports of progress."""
    events = []
    for program in made.programs:
        for event in engine.run_program(workdir, program, Settings(group=group, **kwargs)):
            events.append(event)
            if sum(event["event"] == "progress" for event in events) == stop:
                return events
    return events


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A function: sweep text -> (workdir, plan) of its cells, each trained alone."""
    known = {}

    def train(text):
        if text not in known:
            known[text] = tiny.prepare(tmp_path_factory.mktemp("alone"), text)
            run(*known[text], group=1)
        return known[text]

    return train


def assert_same(workdir, other, cells, tolerance=TOLERANCE):
    """Every number of these cells agrees, and every status is the same."""
    for load in (records.load_metrics, records.load_layers, records.load_probes):
        one, two = (load(folder, list(cells)) for folder in (workdir, other))
        pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=tolerance, atol=tolerance)
    one, two = (records.load(folder).loc[list(cells)] for folder in (workdir, other))
    assert (one.status == two.status).all()
    assert one.step.astype(float).equals(two.step.astype(float))
    scores = ["val_loss", "val_loss_se", "test_loss", "final_train_loss", "progress"]
    np.testing.assert_allclose(one[scores].astype(float), two[scores].astype(float), rtol=tolerance)


@pytest.mark.parametrize("text, group", [(SWEEP, 6), (PROBED, 3)], ids=["all at once", "in two groups, probed"])
def test_cells_that_train_together_have_the_numbers_that_they_have_alone(alone, tmp_path, text, group):
    workdir, made = tiny.prepare(tmp_path, text)
    events = run(workdir, made, group)
    assert [event["cell"] for event in events if event["event"] == "cell"] == list(made.cells)
    assert_same(workdir, alone(text)[0], made.cells)


def test_a_group_of_one_is_the_cell_itself_to_the_bit(alone, tmp_path):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    run(workdir, made, group=0)
    for load in (records.load_metrics, records.load_layers):
        pd.testing.assert_frame_equal(load(workdir), load(alone(SWEEP)[0]), check_exact=True)


def test_the_last_cells_leave_slots_empty_and_compile_nothing_anew(alone, tmp_path, monkeypatch):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    sizes = too_small(monkeypatch, 99)
    cells = list(made.cells)[:5]
    list(engine.run_cells(workdir, cells, Settings(group=4)))  # 3 and 2
    assert sizes == [3]
    assert records.finished(workdir, made.cells) == set(cells)
    assert set(records.load(workdir).group.dropna()) == {3}
    assert_same(workdir, alone(SWEEP)[0], cells)


def test_a_cell_that_diverges_stops_alone_where_it_does_by_itself(alone, tmp_path):
    workdir, made = tiny.prepare(tmp_path, DIVERGING)
    run(workdir, made, group=2)  # slots of cells that stopped are taken by those that wait
    frame = records.load(workdir)
    bad = frame["optim.learning_rate"] > 1
    assert set(frame[bad].status) == {"diverged"} and set(frame[~bad].status) <= {"done", "stuck"}
    assert frame[bad].step.lt(12).all()
    assert_same(workdir, alone(DIVERGING)[0], made.cells)


def test_a_group_that_was_killed_goes_on_each_cell_from_where_it_was(alone, tmp_path):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    run(workdir, made, 6, stop=8, checkpoint_seconds=ALWAYS)
    folders = sorted((records.Path(workdir) / "checkpoints").iterdir())
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["10", "10.json"]] * 6
    (folders[0] / "10.json").unlink()
    first = {}
    for event in run(workdir, made, 3, checkpoint_seconds=ALWAYS):
        if event["event"] == "progress":
            first.setdefault(event["cell"], event["step"])
    assert first == {folder.name: 12 for folder in folders} | {folders[0].name: 5}
    assert_same(workdir, alone(SWEEP)[0], made.cells)
    assert not list((records.Path(workdir) / "checkpoints").iterdir())


def test_an_error_in_the_care_of_one_member_is_its_result(alone, tmp_path, monkeypatch):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    cells, summarise = list(made.cells), member.summarise

    def faulty(config, *rest):
        if plan.identity(config) == cells[1]:
            raise ValueError("a bug in one cell")
        return summarise(config, *rest)

    monkeypatch.setattr(member, "summarise", faulty)
    assert not [event for event in run(workdir, made, 3) if event["event"] == "smaller"]
    frame = records.load(workdir)
    assert frame.status[cells[1]] == "failed" and "a bug in one cell" in frame.reason[cells[1]]
    assert_same(workdir, alone(SWEEP)[0], cells[:1] + cells[2:])


def test_a_group_whose_lease_is_lost_stops(tmp_path):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    lease = tmp_path / "lease"
    lease.touch()
    for event in engine.run_cells(workdir, list(made.cells), Settings(group=6), str(lease)):
        if event["event"] == "progress":
            lease.unlink(missing_ok=True)
    assert not records.finished(workdir, made.cells)


def exhaust(*_):
    raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 byte")


def too_small(monkeypatch, most, **faults):
    """A device that holds `most` cells: with more, the functions of a program are these, by name; gives what is
    compiled, in order."""
    compile_training, sizes = compiled.compile_training, []

    def limited(program, config, arrays, held_out, size=1):
        sizes.append(size)
        if size > most and "compiling" in faults:
            exhaust()
        training = compile_training(program, config, arrays, held_out, size)
        return dataclasses.replace(training, **faults) if size > most else training

    monkeypatch.setattr(compiled, "compile_training", limited)
    return sizes


@pytest.mark.parametrize("when", ["compiling", "chunk", "diagnose", "evaluate"])
def test_a_group_that_the_device_does_not_hold_goes_on_by_halves_and_is_remembered(alone, tmp_path, monkeypatch, when):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    sizes = too_small(monkeypatch, 2, **{when: exhaust})
    events = run(workdir, made, 6)
    assert sizes == [6, 3, 2]
    assert all("RESOURCE_EXHAUSTED" in event["reason"] for event in events if event["event"] == "smaller")
    assert_same(workdir, alone(SWEEP)[0], made.cells)
    again, made = tiny.prepare(tmp_path / "again", SWEEP)
    run(again, made, 6)
    assert sizes == [6, 3, 2, 2]


@pytest.mark.parametrize("seconds, step", [(ALWAYS, 10), (-1.0, 5)], ids=["its checkpoint", "its beginning"])
def test_a_cell_whose_state_a_failed_call_took_with_it_goes_on_from(alone, tmp_path, monkeypatch, seconds, step):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    config = next(iter(made.cells.values()))
    real = compiled.compile_program(config, 6, Settings(group=6)).training.chunk

    def second_chunk_fails(numbers, arrays, state, steps):
        if not state.step.any():
            return real(numbers, arrays, state, steps)
        for leaf in jax.tree.leaves(state):
            leaf.delete()
        return exhaust()

    too_small(monkeypatch, 3, chunk=second_chunk_fails)
    events = run(workdir, made, 6, checkpoint_seconds=seconds)
    after = events[[event["event"] for event in events].index("smaller") :]
    assert next(event["step"] for event in after if event["event"] == "progress") == step
    assert_same(workdir, alone(SWEEP)[0], made.cells)


@pytest.mark.parametrize("care", ["begin", "finish"])
def test_memory_that_lacks_in_the_care_of_one_is_what_the_others_take(alone, tmp_path, monkeypatch, care):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    real = getattr(engine, care)

    def careful(*arguments):
        (group,) = (one for one in arguments if isinstance(one, compiled.Compiled))
        return exhaust() if group.training.size > 3 else real(*arguments)

    monkeypatch.setattr(engine, care, careful)
    events = run(workdir, made, 6)
    assert [event["size"] for event in events if event["event"] == "smaller"] == [3]
    assert_same(workdir, alone(SWEEP)[0], made.cells)


def test_what_a_device_cannot_hold_alone_is_a_failure_with_its_reason(tmp_path, monkeypatch):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    too_small(monkeypatch, 0, chunk=exhaust)
    run(workdir, made, 6)
    frame = records.load(workdir)
    assert set(frame.status) == {"failed"}
    assert frame.reason.str.contains("RESOURCE_EXHAUSTED: Out of memory").all()


def test_another_error_of_all_halves_the_group_and_is_not_remembered(alone, tmp_path, monkeypatch):
    workdir, made = tiny.prepare(tmp_path, SWEEP)
    monkeypatch.setattr(engine.Group, "advance", fragile(engine.Group.advance))
    events = run(workdir, made, 6)
    assert [event["size"] for event in events if event["event"] == "smaller"] == [3]
    assert not list(tmp_path.glob("*.json"))
    assert_same(workdir, alone(SWEEP)[0], made.cells)


def fragile(advance):
    """A group that breaks at its second chunk, when it has six slots."""

    def broken(group):
        if group.size == 6 and group.members[0].run.step:
            raise RuntimeError("INTERNAL: something is wrong with the device")
        return advance(group)

    return broken


@given(st.integers(1, 2000), st.integers(1, 600))
def test_groups_are_as_few_as_can_be_and_as_even(cells, limit):
    size = fitting.even(cells, limit)
    rounds = -(-cells // size)
    assert 1 <= size <= limit
    assert rounds == -(-cells // limit)
    assert (size - 1) * rounds < cells


@dataclasses.dataclass
class Sized:
    """What takes 100 bytes a cell, and 50 for all."""

    size: int

    def bytes(self):
        return 50 + 100 * self.size


@pytest.mark.parametrize("room, expected", [(None, 8), (10_000, 8), (850, 8), (849, 4), (350, 3), (249, 1), (10, 1)])
def test_a_group_takes_no_more_than_the_device_has(tmp_path, monkeypatch, room, expected):
    monkeypatch.setattr(fitting, "free", lambda: room)
    tried = []
    found = fitting.fit(lambda size: tried.append(size) or Sized(size), 8, 256, tmp_path / "none.json")
    assert found.size == expected
    assert len(tried) <= 3


def test_memory_that_is_needed_grows_with_the_group(alone):
    _, made = alone(SWEEP)
    config = next(iter(made.cells.values()))
    one, six = (compiled.compile_program(config, size, Settings(group=size)).training for size in (1, 6))
    assert (one.size, six.size) == (1, 6)
    assert 4 * one.bytes() < six.bytes() < 8 * one.bytes()


def test_on_a_cpu_cells_train_alone_unless_asked(monkeypatch):
    assert fitting.most(Settings(), Mesh()) == 1
    assert fitting.most(Settings(group=7), Mesh()) == 7
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert fitting.most(Settings(), Mesh()) == fitting.MOST
    assert fitting.most(Settings(group=7), Mesh(data=2)) == 1


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"schema": 2, "most": "many"})])
def test_a_damaged_memory_is_none(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    assert fitting.recall(tmp_path / "x.json") is None
