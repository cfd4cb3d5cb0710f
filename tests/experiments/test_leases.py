"""Leases: one holder at a time, the dead replaced at once on one machine and after a silence elsewhere."""

import subprocess
import sys
import threading

import pytest

from experiments import leases
from experiments.leases import Holder, Leases


def dead_process():
    """A holder of this machine that runs no more."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    me = leases.myself()._replace(pid=done.pid, birth=leases.birth(done.pid) or "1", nonce="dead")
    done.wait()
    return me


def plant(workdir, name, holder):
    """A lease that another process left."""
    path = workdir / "leases" / name / holder.name
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_only_one_of_many_gets_a_lease_and_the_next_when_it_is_given_back(tmp_path):
    launchers = [Leases(tmp_path) for _ in range(8)]
    for _ in range(20):
        gate, got = threading.Barrier(len(launchers)), []

        def grab(launcher, gate=gate, got=got):
            gate.wait()
            if launcher.take("p"):
                got.append(launcher)

        threads = [threading.Thread(target=grab, args=(launcher,)) for launcher in launchers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = got
        assert len(list((tmp_path / "leases" / "p").iterdir())) == 1
        winner.give_back("p")
    for launcher in launchers:
        launcher.close()
    assert not (tmp_path / "leases").exists()


def test_the_holder_is_said_with_host_process_and_time(tmp_path):
    launcher = Leases(tmp_path)
    launcher.take("p")
    text = str(Leases(tmp_path).holder("p"))
    assert text.startswith(f"process {leases.os.getpid()} on ")
    assert ", since 20" in text
    launcher.close()


def test_a_dead_process_of_this_machine_is_replaced_at_once(tmp_path):
    plant(tmp_path, "p", dead_process())
    launcher = Leases(tmp_path)
    assert launcher.take("p")
    assert [path.name for path in (tmp_path / "leases" / "p").iterdir()] == [launcher.mine["p"].name]
    launcher.close()


def test_a_process_number_that_was_given_away_again_is_no_holder(tmp_path):
    plant(tmp_path, "p", leases.myself()._replace(birth="1", nonce="before"))
    launcher = Leases(tmp_path)
    assert launcher.take("p")
    launcher.close()


def test_only_one_of_many_takes_a_dead_lease_over(tmp_path):
    plant(tmp_path, "p", dead_process())
    launchers = [Leases(tmp_path) for _ in range(8)]
    threads = [threading.Thread(target=launcher.take, args=("p",)) for launcher in launchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("p" in launcher.mine for launcher in launchers) == 1
    for launcher in launchers:
        launcher.close()


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock of this process, to be moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
    return now


def test_another_machine_is_given_up_only_after_its_file_was_still_for_long(tmp_path, clock):
    path = plant(tmp_path, "p", Holder("other", "f" * 12, 1, "5", "20260101T000000Z", "n"))
    launcher = Leases(tmp_path)
    assert not launcher.take("p")
    clock[0] += leases.STALE - 1
    leases.os.utime(path)  # it lives
    assert not launcher.take("p")
    clock[0] += leases.STALE - 1
    assert not launcher.take("p")
    clock[0] += 2
    assert launcher.take("p")
    launcher.close()


def test_a_clock_of_the_wall_that_jumps_gives_no_lease_away(tmp_path, monkeypatch):
    holder, other = Leases(tmp_path), Leases(tmp_path)
    holder.take("p")
    for now in (1.0, 4e9):
        monkeypatch.setattr(leases.time, "time", lambda now=now: now)
        leases.os.utime(holder.mine["p"], (now, now))
        assert not other.take("p")
    path = plant(tmp_path, "q", Holder("other", "f" * 12, 1, "5", "20260101T000000Z", "n"))
    for stamp in (1.0, 4e9):  # touched by a machine whose clock is far from ours
        leases.os.utime(path, (stamp, stamp))
        assert not other.take("q")
    holder.close()
    other.close()


def test_who_lost_a_lease_must_not_write(tmp_path):
    holder = Leases(tmp_path)
    holder.take("p")
    path = holder.mine["p"]
    leases.check(str(path))
    path.rename(path.with_name("a~b~1~2~20260101T000000Z~c"))
    with pytest.raises(leases.Lost):
        leases.check(str(path))
    holder.close()
    assert (tmp_path / "leases" / "p" / "a~b~1~2~20260101T000000Z~c").exists()  # another's stays


def test_what_the_dead_left_is_tidied(tmp_path):
    plant(tmp_path, "p", dead_process())
    plant(tmp_path, ".half", dead_process())
    launcher = Leases(tmp_path)
    launcher.tidy()
    launcher.close()
    assert not (tmp_path / "leases").exists()


def test_who_judged_a_holder_that_was_replaced_meanwhile_takes_nothing(tmp_path, monkeypatch):
    dead = dead_process()
    plant(tmp_path, "p", dead)
    first, second = Leases(tmp_path), Leases(tmp_path)
    monkeypatch.setattr(second, "holder", lambda name: dead)  # as it was when it looked
    assert first.take("p")
    monkeypatch.setattr(leases.os, "utime", lambda *_: None)  # it was still there at that moment
    assert not second.take("p")
    assert [path.name for path in (tmp_path / "leases" / "p").iterdir()] == [first.mine["p"].name]
    first.close()
