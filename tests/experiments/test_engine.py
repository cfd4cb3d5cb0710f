"""run_program: records, statuses, and numbers that do not depend on what runs beside them."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments import engine, member, plan, records
from tests.experiments import tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function that prepares a workdir for a sweep text and gives (workdir, plan)."""

    return lambda *args, **kwargs: tiny.prepare(tmp_path_factory.mktemp("sweep"), *args, **kwargs)


@pytest.fixture(scope="module")
def whole(prepared):
    """A workdir in which every program ran, and the events."""
    workdir, made = prepared()
    events = [event for program in made.programs for event in engine.run_program(workdir, program)]
    return workdir, made, events


def test_every_cell_has_all_its_records(whole):
    workdir, made, events = whole
    assert {event["cell"] for event in events if event["event"] == "cell"} == set(made.cells)
    frame = records.load(workdir)
    assert set(frame.status) <= {"done", "stuck"}
    assert frame.val_loss.notna().all()
    for cell in made.cells:
        metrics = records.load_metrics(workdir, [cell])
        assert list(metrics.step) == list(range(1, 13))
        layers = records.load_layers(workdir, [cell])
        assert sorted(set(layers.step)) == [5, 10, 12]
        assert sorted(set(layers.layer)) == [1, 2]
        assert layers.drop(columns="cell").notna().all(axis=None)
        assert frame.params[cell] == made.params(cell)


def test_a_cell_alone_gives_the_same_numbers_to_the_bit(whole, prepared):
    workdir, made, _ = whole
    cell = list(made.cells)[5]
    alone, lonely = prepared(overrides=overrides_of(made.cells[cell]))
    assert list(lonely.cells) == [cell]
    list(engine.run_program(alone, next(iter(lonely.programs))))
    for load in (records.load_metrics, records.load_layers):
        pd.testing.assert_frame_equal(load(workdir, [cell]), load(alone, [cell]), check_exact=True)
    names = ["val_loss", "val_loss_se", "test_loss", "final_train_loss", "params"]
    assert records.load(workdir).loc[cell, names].to_dict() == records.load(alone).loc[cell, names].to_dict()


def overrides_of(config):
    return [
        f"--config.model.wiring={config.model.wiring}",
        f"--config.optim.learning_rate={config.optim.learning_rate!r}",
        f"--config.seed.init={config.seed.init}",
    ]


def test_seeds_and_learning_rates_are_live(whole):
    workdir, _, _ = whole
    frame = records.load(workdir)
    assert frame.final_train_loss.nunique() == len(frame)


def test_a_second_run_trains_nothing(whole):
    workdir, made, _ = whole
    before = {path: path.stat().st_mtime_ns for path in sorted(records.Path(workdir).rglob("*"))}
    events = [event for program in made.programs for event in engine.run_program(workdir, program)]
    assert events == []
    assert before == {path: path.stat().st_mtime_ns for path in sorted(records.Path(workdir).rglob("*"))}


def test_divergence_is_a_result_with_its_first_bad_step(prepared):
    text = tiny.SWEEP.replace('["post", "pre"]', '["none"]').replace("[1e-2, 3e-2]", "[1e-2, 1e30]")
    text = text.replace('{"model.wiring": "post"}', "None").replace("return c", 'c.optim.name = "sgd"\n    return c')
    workdir, made = prepared(text)
    list(engine.run_program(workdir, next(iter(made.programs))))
    frame = records.load(workdir)
    bad = frame[frame["optim.learning_rate"] > 1]
    assert set(bad.status) == {"diverged"}
    assert set(frame.drop(bad.index).status) <= {"done", "stuck"}
    for cell, step in bad.step.items():
        metrics = records.load_metrics(workdir, [cell])
        finite = np.isfinite(metrics[["train_loss", "grad_norm"]]).all(axis=1)
        assert len(metrics) == step
        assert finite[:-1].all()
        assert not finite.iloc[-1]
        assert not json.loads((records.cell_dir(workdir, cell) / "summary.json").read_text())["final_train_loss"]


def test_a_cell_that_learns_nothing_is_stuck(prepared):
    workdir, made = prepared(tiny.SWEEP.replace("[1e-2, 3e-2]", "[0.0]"))
    for program in made.programs:
        list(engine.run_program(workdir, program))
    frame = records.load(workdir)
    assert set(frame.status) == {"stuck"}
    assert (frame.val_loss > frame.unigram_loss).all()


def test_an_error_in_one_cell_leaves_its_neighbours_alone(prepared, monkeypatch):
    workdir, made = prepared()
    program, cells = next(iter(made.programs.items()))
    broken = cells[1]
    summarise = member.summarise

    def faulty(config, *rest):
        if plan.identity(config) == broken:
            raise ValueError("a bug in one cell")
        return summarise(config, *rest)

    monkeypatch.setattr(member, "summarise", faulty)
    list(engine.run_program(workdir, program))
    frame = records.load(workdir).loc[cells]
    assert frame.status[broken] == "failed"
    assert "a bug in one cell" in frame.reason[broken]
    assert "Traceback" in (records.cell_dir(workdir, broken) / "error.txt").read_text()
    assert set(frame.drop(broken).status) <= {"done", "stuck"}


def test_who_lost_the_lease_on_a_program_writes_nothing(prepared, tmp_path):
    workdir, made = prepared()
    cells = next(iter(made.programs.values()))
    events = list(engine.run_cells(workdir, cells, lease=str(tmp_path / "taken over")))
    assert [event["event"] for event in events] == ["compiled"]
    assert not records.finished(workdir, cells)


def test_a_lease_that_is_lost_on_the_way_ends_the_work_before_the_next_result(prepared, tmp_path):
    workdir, made = prepared()
    cells, lease = next(iter(made.programs.values())), tmp_path / "lease"
    lease.touch()
    for event in engine.run_cells(workdir, cells, lease=str(lease)):
        if event["event"] == "cell":
            lease.unlink()
    assert records.finished(workdir, cells) == {cells[0]}
