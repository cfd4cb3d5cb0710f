"""What a lost lane costs: its program is tried again, then halved, down to the one cell that kills it."""

import collections
from types import SimpleNamespace

from experiments import records
from experiments.executors import local


def lost(tmp_path, cells, deaths, code=-9):
    """(events, waiting tasks) after the lane of these cells died."""
    lane = SimpleNamespace(number=0, task=local.Task("p", cells, deaths))
    waiting: collections.deque = collections.deque()
    return list(local.bury(str(tmp_path), lane, code, waiting)), list(waiting)


def test_the_first_death_tries_the_whole_program_again(tmp_path):
    (event,), waiting = lost(tmp_path, ["a", "b", "c"], deaths=0)
    assert waiting == [local.Task("p", ["a", "b", "c"], 1)]
    assert (event["event"], event["cells"], event["reason"]) == ("retry", 3, "lane died: SIGKILL")


def test_the_second_death_halves_it(tmp_path):
    _, waiting = lost(tmp_path, ["a", "b", "c", "d"], deaths=1)
    assert sorted(task.cells for task in waiting) == [["a", "b"], ["c", "d"]]


def test_a_cell_with_a_result_is_not_tried_again(tmp_path):
    records.write_result(tmp_path, "a", None, None, None, {"status": "done", "finished": "now", "seconds": 1.0})
    _, waiting = lost(tmp_path, ["a", "b"], deaths=0)
    assert [task.cells for task in waiting] == [["b"]]


def test_a_cell_that_kills_its_lane_alone_is_failed_with_the_reason(tmp_path):
    (event,), waiting = lost(tmp_path, ["a"], deaths=1, code=-11)
    assert waiting == []
    assert event["status"] == "failed"
    status = records.status_of(tmp_path, "a")
    assert status["status"] == "failed"
    assert "SIGSEGV" in status["reason"]


def test_dying_on_every_try_ends_with_each_cell_failed(tmp_path):
    waiting = collections.deque([local.Task("p", list("abcdefg"))])
    tries = 0
    while waiting:
        tries += 1
        list(local.bury(str(tmp_path), SimpleNamespace(number=0, task=waiting.popleft()), 1, waiting))
    assert records.finished(tmp_path, "abcdefg") == set("abcdefg")
    assert tries < 30
