"""The frame of the faults: it sees what is lost, changed or left behind; and a few faults for every `make test`."""

import json
import random
import shutil
import signal
import types

import pytest

from experiments import records
from faults import __main__ as faults
from faults import kills
from faults.arena import Arena, kept
from faults.fault import Fault, Tally
from tests.experiments import synthetic

SMALL = {"wirings": ("pre",), "norms": ("layernorm",), "depths": (6,), "seeds": range(3)}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """(arena, workdir): a reference and a copy of it that nobody trained; finishing it is no work."""
    arena = Arena(tmp_path)
    synthetic.write(arena.reference, **SMALL, end_of=lambda overrides: "done")
    workdir = arena.fresh()
    shutil.copytree(arena.reference, workdir)
    finished = types.SimpleNamespace(communicate=lambda timeout: ("", ""), returncode=0)
    monkeypatch.setattr(Arena, "launch", lambda *_, **__: finished)
    return arena, workdir


def test_a_workdir_as_it_was_is_clean_and_goes(made):
    arena, workdir = made
    assert kills.judge(arena, workdir, kept(workdir, arena.cells), 1, []) == Tally(1)
    assert not workdir.exists()


def test_a_cell_that_is_gone_is_lost(made):
    arena, workdir = made
    before = kept(workdir, arena.cells)
    records.forget(workdir, arena.cells[0])
    tally = kills.judge(arena, workdir, before, 1, [])
    assert (tally.lost, tally.changed) == (1, 1)


def test_a_cell_that_was_run_again_is_lost_though_its_numbers_are_the_same(made):
    arena, workdir = made
    before = kept(workdir, arena.cells)
    path = records.cell_dir(workdir, arena.cells[0]) / "status.json"
    records.write_json(path, records.read_json(path) | {"seconds": 77.0})
    tally = kills.judge(arena, workdir, before, 1, [])
    assert (tally.lost, tally.changed) == (1, 0)


def test_a_number_of_another_value_is_changed(made):
    arena, workdir = made
    path = records.cell_dir(workdir, arena.cells[0]) / "summary.json"
    records.write_json(path, records.read_json(path) | {"val_loss": 1.25})
    tally = kills.judge(arena, workdir, {}, 1, [])
    assert (tally.lost, tally.changed) == (0, 1)


@pytest.mark.parametrize("name", [".x.tmp", "cells/.y.tmp", "leases/p/holder", "checkpoints/c/5.json"])
def test_a_file_left_behind_is_wrong(made, name):
    arena, workdir = made
    path = workdir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    assert any(name in line for line in kills.judge(arena, workdir, {}, 1, []).wrong)


def run(monkeypatch, tmp_path, tally):
    """(exit status, what was written) of the command over one row that has this tally."""
    monkeypatch.setattr(faults, "ROWS", [Fault("a row", 4, lambda arena, rng, tries: tally(tries))])
    monkeypatch.setattr(Arena, "open", lambda folder: Arena(folder))
    status = faults.main(["--jobs=2", "--seed=5", f"--to={tmp_path}"])
    return status, json.loads((tmp_path / "faults.json").read_text())["rows"][0]


BAD = {
    "lost": lambda tries: Tally(tries, lost=1),
    "changed": lambda tries: Tally(tries, changed=1),
    "wrong": lambda tries: Tally(tries, wrong=["an orphan"]),
    "too few tries": lambda tries: Tally(tries - 1),
}


@pytest.mark.parametrize("tally", BAD.values(), ids=BAD.keys())
def test_the_exit_status_is_1_when_any_number_is_not_zero(monkeypatch, tmp_path, tally):
    status, _ = run(monkeypatch, tmp_path, tally)
    assert status == 1


def test_the_table_is_printed_and_written(monkeypatch, tmp_path, capsys):
    status, row = run(monkeypatch, tmp_path, Tally)
    assert status == 0
    assert (row["fault"], row["tries"], row["cells lost"]) == ("a row", 4, 0)
    assert "seed 5" in capsys.readouterr().out
    assert "| a row | 4 | 0 | 0 | 0 |" in (tmp_path / "faults.md").read_text()


def test_rows_that_were_not_run_anew_stay_in_the_table(monkeypatch, tmp_path):
    run(monkeypatch, tmp_path, Tally)
    rows = [Fault("a row", 4, None), Fault("another", 2, lambda arena, rng, tries: Tally(tries))]
    monkeypatch.setattr(faults, "ROWS", rows)
    assert faults.main(["--only=other", "--seed=6", f"--to={tmp_path}"]) == 0
    text = (tmp_path / "faults.md").read_text()
    assert text.index("| a row | 4 |") < text.index("| another | 2 |")
    assert "--seed=5" in text and "--seed=6" in text


def test_a_trial_that_breaks_is_wrong(monkeypatch, tmp_path):
    status, row = run(monkeypatch, tmp_path, lambda tries: 1 / 0)
    assert status == 1
    assert "the trial broke: ZeroDivisionError: division by zero" in row["wrong"]


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena.open(tmp_path_factory.mktemp("arena"))


def test_killed_launchers_lose_nothing(arena):
    assert kills.end_launchers(signal.SIGKILL, arena, random.Random(1), 2) == Tally(2)


def test_killed_lanes_lose_nothing(arena):
    tally = kills.kill_lanes(arena, random.Random(2), 2)
    assert tally.clean(), tally
    assert tally.tries >= 2
