"""What is left to run: in order, without what others run, and nothing dropped when a lease is lost."""

import pytest

from experiments import leases, records
from experiments.executors.backlog import Backlog, Task
from experiments.leases import Leases


@pytest.fixture
def two(tmp_path):
    """The leases of two launchers of one workdir."""
    pair = Leases(tmp_path), Leases(tmp_path)
    yield pair
    for one in pair:
        one.close()


def finish(workdir, cell):
    records.write_result(workdir, cell, None, None, None, {"status": "done", "finished": "now", "seconds": 1.0})


PROGRAMS = {"p": ["a", "b"], "q": ["c", "d"]}


def test_each_launcher_takes_programs_that_the_other_has_not(tmp_path, two):
    mine, others = (Backlog(tmp_path, PROGRAMS, one) for one in two)
    assert mine.take() == Task("p", ["a", "b"])
    assert others.take() == Task("q", ["c", "d"])
    assert mine.take() is None and others.take() is None


def test_what_another_did_is_found_once_and_not_run_again(tmp_path, two, monkeypatch):
    monkeypatch.setattr("experiments.executors.backlog.LOOK", 0.0)
    mine, others = (Backlog(tmp_path, PROGRAMS, one) for one in two)
    task = others.take()
    assert mine.take() == Task("q", ["c", "d"])
    (waiting,) = mine.news()
    assert (waiting["event"], waiting["program"], waiting["cells"]) == ("waiting", "p", 2)
    assert list(mine.news()) == []
    finish(tmp_path, "a")
    (found,) = mine.news()
    assert (found["event"], found["cell"], found["status"], found["lane"]) == ("found", "a", "done", None)
    finish(tmp_path, "b")
    others.end(task)
    assert mine.take() is None
    assert not mine.waiting
    assert [event["cell"] for event in mine.news()] == ["b"]


def test_a_look_waits_for_its_time_unless_a_task_turned_out_to_be_done(tmp_path, two):
    mine, others = (Backlog(tmp_path, PROGRAMS, one) for one in two)
    task = others.take()
    assert len(list(mine.news())) == 1
    finish(tmp_path, "a")
    assert list(mine.news()) == []
    finish(tmp_path, "b")
    others.end(task)
    assert mine.take().cells == ["c", "d"]
    assert [event["cell"] for event in mine.news()] == ["a", "b"]


def test_a_lease_is_given_back_with_the_last_part_of_a_program(tmp_path, two):
    backlog = Backlog(tmp_path, {"p": list("abcd")}, two[0])
    backlog.divide(backlog.take(), [["a", "b"], ["c", "d"]])
    first, second = backlog.take(), backlog.take()
    assert (first.cells, second.cells) == (["a", "b"], ["c", "d"])
    for cell in "abcd":
        finish(tmp_path, cell)
    backlog.end(first)
    assert not two[1].take("p")
    backlog.end(second)
    assert two[1].take("p")


def test_no_part_of_a_program_is_dropped_when_its_lease_is_lost(tmp_path, two):
    backlog = Backlog(tmp_path, {"p": list("abcd")}, two[0])
    backlog.divide(backlog.take(), [["a", "b"], ["c", "d"]])
    first, second = backlog.take(), backlog.take()
    path = two[0].mine["p"]
    taken = path.rename(path.with_name(leases.myself()._replace(nonce="other").name))
    finish(tmp_path, "a")
    backlog.end(first)
    backlog.end(second)
    assert backlog.take() is None  # the other holds it
    taken.unlink()
    assert [backlog.take().cells, backlog.take().cells] == [["b"], ["c", "d"]]
    assert not backlog.waiting
