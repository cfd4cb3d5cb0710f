"""A sweep that was only prepared is run by those who see nothing but its workdir."""

import subprocess
import sys

import pytest

from experiments import equality, plan, records
from tests.experiments import tiny


def work(workdir, *flags, start=subprocess.run):
    command = [sys.executable, "-m", "experiments.work", f"--workdir={workdir}", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return start(command, cwd=tiny.ROOT, **pipes)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(workdir, what the launch said) of a sweep that was prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    path, workdir = tiny.write(folder), str(folder / "run")
    done = tiny.launch(f"--config={path}", f"--workdir={workdir}", "--prepare_only")
    assert done.returncode == 0, done.stderr
    assert records.finished(workdir, records.sweep(workdir)["cells"]) == set()
    assert not (folder / "run" / "logs").exists()
    records.Path(path).unlink()  # nobody needs it any more
    return workdir, done.stdout


def test_the_plan_of_a_workdir_is_the_plan_of_its_sweep_file(tmp_path):
    workdir, made = tiny.prepare(tmp_path)
    found = plan.recorded(workdir)
    assert (found.cells, found.programs, found.arms) == (made.cells, made.programs, made.arms)
    assert found.axes.keys() == made.axes.keys()
    assert [found.flops(cell) for cell in found.cells] == [made.flops(cell) for cell in made.cells]


def test_two_workers_share_the_programs_and_end_with_every_cell(prepared, tmp_path):
    workdir, _ = prepared
    both = [work(workdir, "--lanes=1", start=subprocess.Popen) for _ in range(2)]
    said = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert all("[8/8]" in output for output, _ in said)
    cells = records.sweep(workdir)["cells"]
    assert records.finished(workdir, cells) == set(cells)
    inline = tmp_path / "run"
    assert tiny.launch(f"--config={tiny.write(tmp_path)}", f"--workdir={inline}", "--executor=inline").returncode == 0
    assert [one for cell in cells for one in equality.compare(cell, inline, workdir) if one.difference] == []
    again = work(workdir)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_what_is_wrong_is_a_line(tmp_path):
    done = work(tmp_path / "nowhere", "--lanes=-1")
    assert done.returncode == 2
    assert done.stderr == "--lanes = -1: expected 0 (one per device) or more\n"
    done = work(tmp_path / "nowhere")
    assert done.returncode == 2 and "no such folder; experiments.launch makes it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_data_than_the_sweep_was_prepared_for_is_refused(tmp_path):
    workdir, _ = tiny.prepare(tmp_path)
    manifest = records.sweep(workdir)
    manifest["data"]["markov1"]["fingerprint"] = "0" * 16
    records.write_json(records.Path(workdir) / "sweep.json", manifest)
    done = work(workdir)
    assert done.returncode == 2 and "with fingerprint 0000000000000000" in done.stderr
