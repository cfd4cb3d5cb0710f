"""The check of a workdir: whatever is not as it was written is named, and nothing else is."""

import random

import pytest

from experiments import check, launches, records
from faults.harm import Sound
from flax_tx.errors import UserError
from tests.experiments import synthetic

ENDS = {0: "done", 1: "failed", 2: "diverged", 3: "missing"}
LAUNCH = {
    "command": "c",
    "started": "2026-11-22T12:00:00+00:00",
    "size": None,
    "seconds": 1.0,
    "cells_run": 3,
    "lanes": 1,
    "interrupted": False,
    "git": {},
}


@pytest.fixture
def workdir(tmp_path):
    folder = tmp_path / "run with space ü"
    small = {"wirings": ("pre",), "norms": ("layernorm",), "depths": (6,), "rates": (1e-3,), "seeds": range(4)}
    cells = synthetic.write(folder, **small, end_of=lambda overrides: ENDS[overrides["seed.init"]])["cells"]
    synthetic.add_probes(folder, cells[0], {"quantity": ["loss"], "index": [0], "head": [0], "value": [1.0]})
    records.write_json(folder / "launches" / "20261122T120000.0Z.json", LAUNCH)
    (folder / "logs").mkdir()
    (folder / "logs" / "lane-0.log").write_text("anything")
    return folder


def test_a_workdir_as_it_was_written_is_all_right(workdir, capsys):
    assert check.main([f"--workdir={workdir}"]) == 0
    assert capsys.readouterr().out == "18 files: all as they were written\n"


def test_whatever_happens_to_a_file_is_noticed_and_never_believed(workdir):
    sound, rng = Sound(workdir), random.Random(0)
    assert len(sound.files) == 17
    assert [wrong for wrong in (sound.try_one(rng) for _ in range(60)) if wrong] == []
    assert list(check.check(workdir)) == []


def cell_of(workdir, number):
    return records.cell_dir(workdir, records.sweep(workdir)["cells"][number])


STRANGE = {
    "a temporary file of a cell": (lambda w: cell_of(w, 0) / ".status.json.0123.tmp", check.LEFT),
    "a temporary file of the sweep": (lambda w: w / ".sweep.json.0123.tmp", check.LEFT),
    "a result that no status names": (lambda w: cell_of(w, 1) / "probes.parquet", check.LEFT),
    "a result without a status": (lambda w: cell_of(w, 3) / "metrics.parquet", check.LEFT),
    "a note in a cell": (lambda w: cell_of(w, 0) / "notes.md", check.FOREIGN),
    "a note beside the cells": (lambda w: w / "cells" / "notes.md", check.FOREIGN),
    "a note beside the launches": (lambda w: w / "launches" / "notes.md", check.FOREIGN),
    "a note in the workdir": (lambda w: w / "notes.md", check.FOREIGN),
}


@pytest.mark.parametrize(("place", "kind"), STRANGE.values(), ids=STRANGE.keys())
def test_what_no_record_explains_is_named(workdir, place, kind, capsys):
    path = place(workdir)
    path.write_text("x")
    assert check.main([f"--workdir={workdir}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith(f"{kind:<9}  {path}: ") and lines[1] == f"19 files: 1 {kind}"


@pytest.mark.parametrize("name", ["cells", "launches", "cells/CELL", "cells/CELL/metrics.parquet", "cells/CELL/x"])
def test_a_link_is_foreign(workdir, tmp_path, name):
    path = workdir / name.replace("CELL", cell_of(workdir, 0).name)
    (workdir / "elsewhere").mkdir() if not path.exists() else path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert check.FOREIGN in [one.kind for one in check.check(workdir) if one.path == path]


def test_a_planned_cell_that_is_not_there_and_a_config_in_anothers_folder(workdir):
    one, two = cell_of(workdir, 0), cell_of(workdir, 1)
    one.rename(workdir / "cells" / "0123")
    found = {finding.path: finding.kind for finding in check.check(workdir)}
    assert found == {one: check.DAMAGED, workdir / "cells" / "0123" / "config.json": check.DAMAGED}
    records.write_cell_config(workdir, "0123", records.read_config(workdir, two.name))
    found = {finding.path: finding.kind for finding in check.check(workdir)}
    assert found == {one: check.DAMAGED, workdir / "cells" / "0123" / "config.json": check.FOREIGN}


def test_files_of_the_first_schema_are_counted_as_unproved(workdir, capsys):
    path = workdir / "sweep.json"
    text = path.read_text().replace('"schema": 2', '"schema": 1')
    path.write_text(text[: text.index(',\n "seal"')] + "\n}\n")
    assert check.main([f"--workdir={workdir}"]) == 0
    assert "1 JSON files of schema 1, which carry no proof" in capsys.readouterr().out


def test_a_folder_without_a_sweep_is_one_line(tmp_path):
    with pytest.raises(UserError, match="expected a folder with sweep"):
        check.main([f"--workdir={tmp_path}"])


def test_a_launch_of_another_structure_is_a_line(workdir):
    path = workdir / "launches" / "20261122T120001.0Z.json"
    records.write_json(path, LAUNCH | {"seconds": "long"})
    with pytest.raises(records.RecordError, match="seconds = 'long': expected float"):
        launches.load(workdir)
