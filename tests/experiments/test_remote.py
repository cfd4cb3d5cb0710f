"""A workdir that is a URL: what one machine pushed, another fetches; nothing is torn, nothing is carried twice."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from experiments import command, records, remote
from experiments.files import RecordError
from flax_tx.errors import UserError
from tests.experiments import tiny

URL = "memory://bucket/runs/one"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this process another machine: with an empty cache, or that of an earlier name."""
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])

    def be(name):
        monkeypatch.setattr(remote, "MIRRORS", tmp_path / name)

    be("one")
    return be


def run(workdir, cells, reason="first"):
    """Results of cells, as a launch writes them."""
    records.Path(workdir).mkdir(parents=True, exist_ok=True)
    for cell in cells:
        records.write_cell_config(workdir, cell, {"model": {"width": 8}})
        status = {"status": "done", "finished": "now", "seconds": 1.0, "reason": reason}
        records.write_result(workdir, cell, {"step": [1, 2]}, None, {"val_loss": 1.0}, status)


def writes(monkeypatch):
    """The names that are written to the store from now on."""
    written, real = [], MemoryFileSystem.pipe_file

    def pipe_file(self, path, value, **kwargs):
        written.append(path.removeprefix("/bucket/runs/one/"))
        return real(self, path, value, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    return written


def test_a_folder_stays_what_it_is(machine, tmp_path):
    assert remote.local("runs/one") == "runs/one"
    remote.push(str(tmp_path))
    assert MemoryFileSystem.store == {}


def test_what_one_machine_pushed_another_has(machine):
    workdir = remote.local(URL)
    run(workdir, ["a", "b"])
    records.write_json(records.Path(workdir) / "sweep.json", {"name": "s"})
    remote.push(workdir)
    one = {path.relative_to(workdir): path.read_bytes() for path in records.Path(workdir).rglob("*.*")}
    machine("two")
    other = remote.local(URL)
    assert other != workdir
    assert {path.relative_to(other): path.read_bytes() for path in records.Path(other).rglob("*.*")} == one


def test_results_of_two_machines_merge(machine):
    first = remote.local(URL)
    run(first, ["a"])
    machine("two")
    second = remote.local(URL)
    run(second, ["b"])
    remote.push(second)
    machine("one")
    remote.push(first)
    assert records.finished(remote.local(URL), "ab") == {"a", "b"}
    machine("two")
    assert records.finished(remote.local(URL), "ab") == {"a", "b"}


def test_nothing_is_carried_twice_and_a_status_comes_last(machine, monkeypatch):
    workdir, written = remote.local(URL), writes(monkeypatch)
    run(workdir, ["a"])
    remote.push(workdir, ["a"])
    assert written == ["cells/a/summary.json", "cells/a/metrics.parquet", "cells/a/status.json"]
    remote.push(workdir)
    assert written[3:] == ["cells/a/config.json"]
    remote.local(URL)
    remote.push(workdir)
    assert len(written) == 4


def test_a_cell_that_was_tried_again_is_carried_again(machine):
    workdir = remote.local(URL)
    run(workdir, ["a"])
    remote.push(workdir)
    machine("two")
    remote.local(URL)
    machine("one")
    run(workdir, ["a"], reason="second")
    remote.push(workdir, ["a"])
    machine("two")
    assert records.outcome(remote.local(URL), "a")["reason"] == "second"


def test_a_result_without_its_status_is_not_there(machine):
    workdir = remote.local(URL)
    run(workdir, ["a"])
    remote.push(workdir)
    del MemoryFileSystem.store["/bucket/runs/one/cells/a/status.json"]
    machine("two")
    other = remote.local(URL)
    assert records.read_config(other, "a")
    assert not (records.cell_dir(other, "a") / "metrics.parquet").exists()


def test_names_that_lead_elsewhere_are_not_fetched(machine, tmp_path):
    for name in ("cells/a/../../evil.json", "sweep.json/../../evil", "cells/a/evil.py", "logs/lane-0.log"):
        MemoryFileSystem.store[f"/bucket/runs/one/{name}"] = MemoryFileSystem().open("/x", "wb")
    with pytest.raises(UserError, match="without"):
        remote.local("memory://bucket/../up")
    remote.local(URL)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and ".carried" not in path.parts] == []


def test_what_cannot_be_read_or_written_is_a_line(machine, monkeypatch):
    with pytest.raises(
        UserError, match=r"workdir 'nothing://there': cannot be opened \(ValueError: Protocol not known"
    ):
        remote.local("nothing://there")
    workdir = remote.local(URL)
    run(workdir, ["a"])
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda *_, **__: 1 / 0)
    with pytest.raises(RecordError, match="cannot be written; the same command goes on"):
        remote.push(workdir)
    monkeypatch.undo()


def test_every_command_takes_a_url(machine):
    workdir = remote.local(URL)
    assert command.Parser("experiments.x", "").parse_args([f"--workdir={URL}"]).workdir == workdir
    several = command.Parser("experiments.x", "", several=True)
    assert several.parse_args([f"--workdir={URL}", "--workdir=runs/two"]).workdir == [workdir, "runs/two"]


def test_a_sweep_with_a_url_for_a_workdir(tmp_path, monkeypatch):
    url, folder = f"file://{tmp_path}/bucket/run", tmp_path / "bucket" / "run"
    path = tiny.write(tmp_path)
    for home, cells in (("one", 8), ("two", 0)):  # the second machine finds everything done
        monkeypatch.setenv("HOME", str(tmp_path / home))
        done = tiny.launch(f"--config={path}", f"--workdir={url}", "--lanes=1")
        assert done.returncode == 0, done.stderr
        assert ("[1/8]" in done.stdout) == bool(cells)
    cells = records.sweep(folder)["cells"]
    assert records.finished(folder, cells) == set(cells)
    assert {path.name for path in folder.iterdir()} == {"cells", "launches", "sweep.json"}
