"""What the launcher makes of what Ray tells it, without a cluster."""

import subprocess
import sys
from contextlib import closing

import pytest
import ray

from cluster.machines import ROOT
from experiments import records
from experiments.executors import cluster
from experiments.executors import ray as executor
from experiments.executors.backlog import Backlog
from experiments.files import RecordError
from experiments.leases import Leases
from experiments.settings import Settings
from tests.experiments import tiny

NODES = {"small": {"CPU": 2.0, "memory": 4e9}}
LOST = ray.exceptions.NodeDiedError(
    "Task failed because the node is dead. Node IP: 10.0.0.9, node ID: 12ab. More words."
)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """(workdir, backlog) of a sweep of two programs."""
    monkeypatch.setattr(cluster, "nodes", lambda: NODES)
    workdir, plan = tiny.prepare(tmp_path)
    with closing(Leases(workdir)) as leases:
        yield workdir, Backlog(workdir, plan.programs, leases)


@pytest.fixture
def flight(sweep, monkeypatch):
    """(fleet, backlog, a function that lets the next event arrive) of one task that is under way."""
    workdir, backlog = sweep
    fleet, task = executor.Fleet(workdir, Settings()), backlog.take()
    fleet.flights.append(executor.Flight(task, 0, backlog.lease(task), iter([None])))

    def arrive(found):
        def get(_):
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(ray, "get", get)
        return list(fleet.arrive(fleet.flights[0], backlog))

    return fleet, backlog, arrive


def test_the_launcher_knows_no_jax():
    code = "import sys, experiments.executors.ray; sys.exit(bool({'jax', 'flax'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_program_that_fits_on_no_node_is_left_with_a_reason(sweep, monkeypatch):
    workdir, backlog = sweep
    monkeypatch.setattr(executor, "JOINING", 0.0)
    events = list(executor.Fleet(workdir, Settings(lane_memory=int(7e9))).send(backlog))
    assert [(event["event"], event["cells"]) for event in events] == [("left", 4), ("left", 4)]
    assert events[0]["reason"] == "needs 7.0 GB of memory of one node; the largest has 4.0 GB of memory"
    assert not backlog.waiting and backlog.leases.mine == {}


def test_nodes_that_may_still_join_are_waited_for(sweep):
    workdir, backlog = sweep
    assert list(executor.Fleet(workdir, Settings(lane_memory=int(7e9))).send(backlog)) == []
    assert sorted(len(task.cells) for task in backlog.waiting) == [4, 4]


def test_a_node_that_is_lost_is_no_death_of_the_cells(flight):
    fleet, backlog, arrive = flight
    (event,) = arrive(LOST)
    assert (event["event"], event["reason"]) == ("retry", "the node 10.0.0.9 was lost")
    assert not fleet.flights
    assert [task.deaths for task in backlog.waiting] == [0, 0]


@pytest.mark.parametrize("error", [ray.exceptions.WorkerCrashedError(), ray.exceptions.OutOfMemoryError("too much")])
def test_a_worker_that_died_is_a_death_of_the_cells(flight, error):
    _, backlog, arrive = flight
    (event,) = arrive(error)
    assert (event["event"], event["cells"]) == ("retry", 4) and event["reason"].startswith("worker died: ")
    assert [task.deaths for task in backlog.waiting] == [1, 0]


def test_lanes_that_never_start_end_the_launch(flight):
    fleet, _, arrive = flight
    fleet.stillborn = executor.STILLBORN - 1
    with pytest.raises(RecordError, match="lane died before its first program, as 3 did in a row"):
        arrive({"event": "dead", "started": False, "reason": "lane died"})


def test_a_node_that_cannot_do_it_ends_the_launch_with_its_reason(flight):
    _, _, arrive = flight
    with pytest.raises(RecordError, match="a node cannot run programs: no space"):
        arrive(ray.exceptions.RuntimeEnvSetupError("trouble:\nno space"))


def test_results_that_come_back_are_written_only_under_the_lease(flight):
    fleet, backlog, arrive = flight
    cell = fleet.flights[0].task.cells[0]
    other = records.Path(backlog.workdir).parent / "other"
    other.mkdir()
    status = {"status": "done", "finished": "now", "seconds": 1.0}
    records.write_result(other, cell, None, None, None, status)
    sent = {"event": "cell", "cell": cell, "files": records.read_files(other, cell)}
    backlog.leases.mine[fleet.flights[0].task.program].unlink()
    assert arrive(sent) == []
    assert records.finished(backlog.workdir, [cell]) == set()
