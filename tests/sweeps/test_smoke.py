"""Every sweep in sizes runs in size smoke, with lanes of its own, and its tables, verdicts and figure are made."""

import os

import pytest

from experiments import figure, launch, records, table, verdict
from tests.sweeps.test_sweeps import FLAGSHIPS


@pytest.mark.parametrize("file", FLAGSHIPS, ids=lambda file: file.stem)
def test_a_sweep_runs_in_its_smallest_size(file, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "MPLCONFIGDIR", str(tmp_path))
    workdir = str(tmp_path / "run")
    flags = [f"--config={file}", f"--workdir={workdir}", "--size=smoke", "--executor=local", "--lanes=2"]
    assert launch.main(flags) == 0
    manifest = records.sweep(workdir)
    statuses = records.load(workdir).status
    assert sorted(statuses.index) == sorted(manifest["cells"])
    assert set(statuses) <= {"done", "stuck", "diverged"}
    assert all(spec["title"] in table.render(workdir, "md") for spec in manifest["tables"])
    assert len(verdict.verdicts(workdir)) == len(manifest["claims"])
    assert all(claim["id"] in verdict.render(workdir, "md") for claim in manifest["claims"])
    if manifest["figure"]:
        assert figure.picture(workdir, "png").startswith(b"\x89PNG")
