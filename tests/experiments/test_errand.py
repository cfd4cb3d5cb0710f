"""What a node does for a launch, without Ray: the numbers of its lane are those of this process, wherever they go."""

import dataclasses
from contextlib import closing

import pytest

from experiments import engine, equality, provenance, records
from experiments.executors import errand
from experiments.leases import Leases
from experiments.settings import Settings
from tests.experiments import tiny


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """(workdir, program, cells): one program that this process ran, in a copy of its own."""
    folder = tmp_path_factory.mktemp("sweep")
    workdir, plan = tiny.prepare(folder)
    program, cells = next(iter(plan.programs.items()))
    assert [event for event in engine.run_program(workdir, program) if event["event"] == "cell"]
    return workdir, program, cells


def errand_of(sweep, folder, lease):
    """The same program in a folder where it was not run."""
    workdir, program, cells = sweep
    for cell in cells:
        records.write_cell_config(folder, cell, records.read_config(workdir, cell))
    configs = {cell: (records.cell_dir(folder, cell) / "config.json").read_bytes() for cell in cells}
    return errand.Errand(str(folder), program, configs, Settings(), 3, lease, provenance.code())


def assert_equal(cells, one, two):
    assert [found for cell in cells for found in equality.compare(cell, one, two) if found.difference] == []


def test_where_the_lease_is_seen_the_lane_writes_and_nothing_is_sent(sweep, tmp_path):
    with closing(Leases(tmp_path)) as leases:
        assert leases.take("p")
        events = list(errand.run(errand_of(sweep, tmp_path, str(leases.mine["p"]))))
    assert events[0] == {"event": "ready"}
    assert not any("files" in event for event in events)
    assert [event["cell"] for event in events if event["event"] == "cell"] == sweep[2]
    assert (tmp_path / "logs" / "lane-3.log").exists()
    assert_equal(sweep[2], sweep[0], tmp_path)


def test_elsewhere_the_results_are_sent_and_nothing_is_written(sweep, tmp_path):
    events = list(errand.run(errand_of(sweep, tmp_path / "a", str(tmp_path / "unseen"))))
    assert records.finished(tmp_path / "a", sweep[2]) == set()
    sent = {event["cell"]: event["files"] for event in events if event["event"] == "cell"}
    (tmp_path / "b").mkdir()
    for cell, files in sent.items():
        records.write_files(tmp_path / "b", cell, files)
    assert_equal(sweep[2], sweep[0], tmp_path / "b")


def test_a_node_with_other_code_is_refused(sweep, tmp_path):
    other = dataclasses.replace(errand_of(sweep, tmp_path, ""), code="another")
    with pytest.raises(errand.Misplaced, match="is another version"):
        next(errand.run(other))


def test_a_lane_that_dies_says_why_and_whether_it_had_started(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(errand.devices, "cores", lambda: ["no core"])
    *_, last = errand.run(errand_of(sweep, tmp_path, str(tmp_path / "unseen")))
    assert (last["event"], last["started"]) == ("dead", False)
    assert "exit status 1 (ValueError: invalid literal" in last["reason"]


def test_errands_of_one_machine_have_cores_of_their_own(monkeypatch):
    monkeypatch.setattr(errand.devices, "cores", lambda: ["a", "b"])
    with errand.device("cpu") as one, errand.device("cpu") as two:
        assert {one.indices, two.indices} == {("a",), ("b",)}
        with errand.device("cpu") as three:  # there is none left
            assert three.indices in (("a",), ("b",))
    with errand.device("cpu") as again:
        assert again == one


def test_an_errand_has_the_gpu_that_ray_gave_it(monkeypatch):
    monkeypatch.setattr(errand.devices, "plugin", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    with errand.device("auto") as one, errand.device("auto") as two:
        assert (one.kind, one.indices, two) == ("gpu", ("3",), one)
    with errand.device("cpu") as core:
        assert core.kind == "cpu"
