"""What a lost lane costs: its program is tried again, then halved, down to the one cell that kills it."""

import queue
import sys
import time

import pytest

from experiments import records
from experiments.executors import local, worker
from experiments.executors.backlog import Backlog, Task
from experiments.files import RecordError
from experiments.leases import Leases
from experiments.settings import Settings


def lost(tmp_path, cells, deaths, code=-9):
    """(events, waiting tasks) after the lane of these cells died."""
    backlog = Backlog(tmp_path, {"p": cells}, Leases(tmp_path))
    task = backlog.take()
    task.deaths = deaths
    events = list(local.inherit(tmp_path, task, worker.death(code), backlog, 0))
    assert bool(backlog.waiting) == ("p" in backlog.leases.mine)
    backlog.leases.close()
    return events, list(backlog.waiting)


def test_the_first_death_tries_the_whole_program_again(tmp_path):
    (event,), waiting = lost(tmp_path, ["a", "b", "c"], deaths=0)
    assert waiting == [Task("p", ["a", "b", "c"], 1)]
    assert (event["event"], event["cells"], event["reason"]) == ("retry", 3, "lane died: SIGKILL")


def test_the_second_death_halves_it(tmp_path):
    _, waiting = lost(tmp_path, ["a", "b", "c", "d"], deaths=1)
    assert [task.cells for task in waiting] == [["a", "b"], ["c", "d"]]


def test_a_cell_with_a_result_is_not_tried_again(tmp_path):
    backlog = Backlog(tmp_path, {"p": ["a", "b"]}, Leases(tmp_path))
    task = backlog.take()
    records.write_result(tmp_path, "a", None, None, None, {"status": "done", "finished": "now", "seconds": 1.0})
    list(local.inherit(tmp_path, task, "lane died", backlog, 0))
    assert [task.cells for task in backlog.waiting] == [["b"]]


def test_a_cell_that_kills_its_lane_alone_is_failed_with_the_reason(tmp_path):
    (event,), waiting = lost(tmp_path, ["a"], deaths=1, code=-11)
    assert waiting == []
    assert event["status"] == "failed"
    status = records.status_of(tmp_path, "a")
    assert status["status"] == "failed"
    assert "SIGSEGV" in status["reason"]


def test_dying_on_every_try_ends_with_each_cell_failed(tmp_path):
    backlog, tries = Backlog(tmp_path, {"p": list("abcdefg")}, Leases(tmp_path)), 0
    while backlog.waiting:
        tries += 1
        list(local.inherit(tmp_path, backlog.take(), "lane died", backlog, 0))
    assert records.finished(tmp_path, "abcdefg") == set("abcdefg")
    assert tries < 30
    assert backlog.leases.mine == {}


def lane_of(code, tmp_path, monkeypatch, **kwargs):
    """A lane whose process runs this code."""
    real = worker.subprocess.Popen
    monkeypatch.setattr(worker.subprocess, "Popen", lambda _, **rest: real([sys.executable, "-c", code], **rest))
    return worker.Lane(str(tmp_path), 0, (0,), queue.Queue(), **kwargs)


def events_until_death(lane):
    events = []
    while not events or events[-1]["event"] != "dead":
        events.append(lane.events.get(timeout=60)[1])
    return events


def test_a_lane_that_takes_more_memory_than_it_may_is_ended_and_the_reason_says_so(tmp_path, monkeypatch):
    code = 'print(\'{"event": "idle"}\', flush=True); hog = bytearray(300_000_000); import time; time.sleep(60)'
    lane = lane_of(code, tmp_path, monkeypatch, memory=200_000_000)
    assert "more than --lane_memory = 200 MB" in events_until_death(lane)[-1]["reason"]
    lane.stop()


def test_a_lane_within_its_memory_is_left_alone(tmp_path, monkeypatch):
    code = 'print(\'{"event": "idle"}\', flush=True); hog = bytearray(50_000_000); import time; time.sleep(1)'
    lane = lane_of(code, tmp_path, monkeypatch, memory=200_000_000)
    assert events_until_death(lane)[-1]["reason"] == "lane died with exit status 0"


def test_a_lane_that_never_starts_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.5)
    lane = lane_of("import time; time.sleep(60)", tmp_path, monkeypatch)
    assert "did not start" in events_until_death(lane)[-1]["reason"]
    lane.stop()


def test_lanes_that_die_before_they_start_are_one_line_that_names_their_log(tmp_path, monkeypatch):
    real = worker.subprocess.Popen
    monkeypatch.setattr(worker.subprocess, "Popen", lambda _, **rest: real([sys.executable, "-c", "1/0"], **rest))
    leases = Leases(tmp_path)
    with pytest.raises(
        RecordError, match=r"exit status 1 before its first program, as 3 did in a row; see .*lane-0.log"
    ):
        list(local.run(str(tmp_path), {"p": ["a"]}, Settings(lanes=1), leases))
    assert "ZeroDivisionError" in (tmp_path / "logs" / "lane-0.log").read_text()
    leases.close()


def test_a_lane_ends_with_its_launcher_even_before_it_is_ready(tmp_path):
    lane = worker.Lane(str(tmp_path), 0, tuple(local.cores()[:1]), queue.Queue())
    time.sleep(0.3)
    lane.process.stdin.close()  # what the kernel does when the launcher is killed
    assert lane.process.wait(timeout=60) == 0
