"""The launcher from the outside: a sweep runs, runs no more, survives kills; mistakes are lines and write nothing."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from experiments import check, launch, launches, records
from faults import files
from flax_tx.errors import UserError
from tests.experiments import tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(sweep file, workdir, output) of a sweep that the local lanes ran to its end."""
    folder = tmp_path_factory.mktemp("launch with space ü")
    path, workdir = tiny.write(folder), str(folder / "run")
    done = tiny.launch(f"--config={path}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return path, workdir, done.stdout


def test_a_sweep_prints_plan_progress_and_table(finished):
    _, workdir, output = finished
    assert "8, of which 0 have a result, in 2 programs" in output
    assert "[8/8]" in output
    assert "±" in output
    assert set(records.load(workdir).status) <= {"done", "stuck"}
    assert not list(records.Path(workdir).rglob("*.tmp"))


def test_a_launch_leaves_what_it_took(finished):
    _, workdir, _ = finished
    first = launches.load(workdir)[0]
    assert (first["cells_run"], first["interrupted"], first["size"]) == (8, False, None)
    assert first["seconds"] > max(records.load(workdir).seconds)
    assert first["command"] == records.sweep(workdir)["command"]


def test_the_same_command_again_trains_nothing_and_prints_the_same_table(finished):
    path, workdir, output = finished
    before = len(launches.load(workdir))
    again = tiny.launch(f"--config={path}", f"--workdir={workdir}")
    assert again.returncode == 0
    assert "[1/" not in again.stdout
    assert len(launches.load(workdir)) == before
    assert again.stdout[again.stdout.index("±") :] == output[output.index("±") :]


def test_lanes_and_this_process_give_the_same_numbers_to_the_bit(finished, tmp_path):
    path, workdir, _ = finished
    inline = str(tmp_path / "inline")
    assert tiny.launch(f"--config={path}", f"--workdir={inline}", "--executor=inline").returncode == 0
    assert records.load_metrics(workdir).equals(records.load_metrics(inline))
    assert records.load_layers(workdir).equals(records.load_layers(inline))
    assert records.load(workdir).val_loss.equals(records.load(inline).val_loss)


def test_a_sweep_that_grows_runs_only_what_is_new(finished, tmp_path):
    path, workdir, _ = finished
    grown = tiny.write(tmp_path, tiny.SWEEP.replace('"seed.init", [0, 1]', '"seed.init", [0, 1, 2]'))
    before = {cell: (records.cell_dir(workdir, cell) / "status.json").stat().st_mtime_ns for cell in cells_of(workdir)}
    done = tiny.launch(f"--config={grown}", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "[4/4]" in done.stdout
    assert before == {cell: (records.cell_dir(workdir, cell) / "status.json").stat().st_mtime_ns for cell in before}
    assert tiny.launch(f"--config={path}", f"--workdir={workdir}").returncode == 0


def cells_of(workdir):
    return records.sweep(workdir)["cells"]


def start(path, workdir, *more):
    command = [
        sys.executable,
        "-m",
        "experiments.launch",
        f"--config={path}",
        f"--workdir={workdir}",
        "--lanes=1",
        *more,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a shell has its background jobs, such as a nightly run of these tests, ignore Ctrl-C
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, cwd=tiny.ROOT, text=True, preexec_fn=listen, **pipes)


def wait_for_cell(process):
    """Reads the launcher's output until the first cell ended."""
    for line in process.stdout:
        if line.startswith("["):
            return
    raise AssertionError(process.stderr.read())


def long_sweep(folder, steps=1000):
    return tiny.write(folder, tiny.SWEEP.replace("c.train.steps = 12", f"c.train.steps = {steps}"))


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path):
    path, workdir = long_sweep(tmp_path), str(tmp_path / "run")
    process = start(path, workdir)
    wait_for_cell(process)
    lanes = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in output
    assert not errors
    assert psutil.wait_procs(lanes, timeout=10)[1] == []
    kept = records.finished(workdir, cells_of(workdir))
    assert 0 < len(kept) < 8
    again = tiny.launch(f"--config={path}", f"--workdir={workdir}")
    assert again.returncode == 0
    assert f"[{8 - len(kept)}/{8 - len(kept)}]" in again.stdout
    both = launches.load(workdir)
    assert [launch["interrupted"] for launch in both] == [True, False]
    assert sum(launch["cells_run"] for launch in both) == 8


def test_a_killed_launcher_leaves_no_lane_and_nothing_is_lost(tmp_path):
    path, workdir = long_sweep(tmp_path), str(tmp_path / "run")
    process = start(path, workdir)
    wait_for_cell(process)
    lanes = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert psutil.wait_procs(lanes, timeout=10)[1] == []
    process.communicate(timeout=60)
    assert records.finished(workdir, cells_of(workdir))
    assert tiny.launch(f"--config={path}", f"--workdir={workdir}").returncode == 0


def test_a_killed_lane_costs_one_program_which_is_tried_again(tmp_path):
    path, workdir = long_sweep(tmp_path), str(tmp_path / "run")
    process = start(path, workdir)
    wait_for_cell(process)
    for lane in psutil.Process(process.pid).children():
        lane.kill()
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert "retry" in output
    assert "SIGKILL" in output
    assert set(records.load(workdir).status) <= {"done", "stuck"}


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_termination_or_a_closed_terminal_stops_as_cleanly(tmp_path, number, status):
    path, workdir = long_sweep(tmp_path), str(tmp_path / "run")
    process = start(path, workdir)
    wait_for_cell(process)
    lanes = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "the same command continues" in output
    assert not errors
    assert psutil.wait_procs(lanes, timeout=10)[1] == []
    assert not (tmp_path / "run" / "leases").exists()


def test_two_launchers_share_a_workdir_and_no_cell_is_run_twice(finished, tmp_path):
    path, workdir = tiny.write(tmp_path), str(tmp_path / "run")
    first, second = start(path, workdir), start(path, workdir)
    outputs = [process.communicate(timeout=600) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert [errors for _, errors in outputs] == ["", ""]
    assert all("[8/8]" in output for output, _ in outputs)
    both = launches.load(workdir)
    assert sum(launch["cells_run"] for launch in both) == 8
    assert [launch["cells_run"] for launch in both] == [4, 4]
    assert records.load_metrics(workdir).equals(records.load_metrics(finished[1]))


def test_one_that_finds_everything_taken_says_by_whom_and_waits(tmp_path):
    path, workdir = long_sweep(tmp_path, 2500), str(tmp_path / "run")  # longer than the second takes to start
    first = start(path, workdir)
    first_pid = first.pid
    wait_for_cell(first)
    second = start(path, workdir, "--config.model.wiring=post")
    for line in second.stdout:
        if line.startswith("waiting"):
            break
    first.communicate(timeout=600)
    output, errors = second.communicate(timeout=600)
    assert f"process {first_pid} on " in line and ", since 20" in line
    assert second.returncode == 0, errors
    assert re.search(r"\[(\d)/\1\]", output)
    assert [launch["cells_run"] for launch in launches.load(workdir)] == [8]


def test_a_lane_beyond_its_memory_is_said_to_be(tmp_path):
    done = tiny.launch(f"--config={tiny.write(tmp_path)}", f"--workdir={tmp_path / 'run'}", "--lane_memory=1M")
    assert done.returncode == 1
    assert "more than --lane_memory = 1 MB before its first program" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def broken(workdir):
    """Makes the result of one cell a failure, as an error in it would."""
    cell = cells_of(workdir)[3]
    outcome = {
        "status": "failed",
        "reason": "a bug in one cell",
        "seconds": 1.0,
        "finished": "2026-01-01T00:00:00+00:00",
    }
    records.write_result(workdir, cell, None, None, None, outcome, error="Traceback")
    return cell


def test_cells_can_train_together_in_the_lanes(finished, tmp_path):
    path, workdir, _ = finished
    only = [f"--config={path}", "--config.model.wiring=pre", f"--workdir={tmp_path / 'run'}"]
    done = tiny.launch(*only, "--group=3", "--device=cpu", "--lanes=1")
    assert done.returncode == 0, done.stderr
    found = records.load(tmp_path / "run")
    assert set(found.group) == {2}  # four cells, at most three at a time
    alone = records.load(workdir).loc[found.index]
    assert set(alone.group) == {1}
    assert found.val_loss.tolist() == pytest.approx(alone.val_loss.tolist(), rel=1e-5)


def test_what_failed_is_run_again_on_request_only_and_alone(finished, tmp_path):
    path, workdir, _ = finished
    copy = str(tmp_path / "copy")
    shutil.copytree(workdir, copy)
    cell = broken(copy)
    again = tiny.launch(f"--config={path}", f"--workdir={copy}")
    assert again.returncode == 1
    assert "1 failed" in again.stdout and "[1/" not in again.stdout
    told = subprocess.run(
        [sys.executable, "-m", "experiments.status", f"--workdir={copy}"], cwd=tiny.ROOT, capture_output=True, text=True
    )
    assert "again:" in told.stdout and "--retry=failed" in told.stdout
    again = tiny.launch(f"--config={path}", f"--workdir={copy}", "--retry=failed")
    assert again.returncode == 0, again.stderr
    assert "[1/1]" in again.stdout
    assert not (records.cell_dir(copy, cell) / "error.txt").exists()
    assert records.load_metrics(copy).equals(records.load_metrics(workdir))


def test_halves_of_a_sweep_from_two_machines_merge_by_copying(finished, tmp_path):
    path, workdir, _ = finished
    merged = tmp_path / "merged"
    for wiring in ("post", "pre"):
        half = tmp_path / wiring
        done = tiny.launch(f"--config={path}", f"--workdir={half}", f"--config.model.wiring={wiring}")
        assert done.returncode == 0, done.stderr
        shutil.copytree(half, merged, dirs_exist_ok=True)
    before = {name: path.read_bytes() for name, path in results_of(merged).items()}
    assert len(before) > 8
    done = tiny.launch(f"--config={path}", f"--workdir={merged}")
    assert done.returncode == 0, done.stderr
    assert "8, of which 8 have a result" in done.stdout
    assert before == {name: path.read_bytes() for name, path in results_of(merged).items()}
    assert len(records.sweep(merged)["cells"]) == 8
    assert records.load_metrics(str(merged)).equals(records.load_metrics(workdir))
    assert len(launches.load(merged)) == 2


def results_of(workdir):
    return {str(path.relative_to(workdir)): path for path in workdir.glob("cells/*/*")}


WRONG = {
    "a misspelt key": (["--config.model.widht=64"], "did you mean model.width?"),
    "a wrong type": (["--config.model.width=wide"], "expected int, got str"),
    "heads that do not divide": (["--config.model.num_heads=3"], "expected a divisor of model.width = 8"),
    "an unknown wiring": (["--config.model.wiring=pots"], "did you mean post?"),
    "DeepNorm with a pre-norm": (
        ["--config.model.wiring=deepnorm", "--config.model.slots.pre=True"],
        "the wiring 'deepnorm' has no norm there",
    ),
    "depth 0": (["--config.model.num_layers=0"], "expected at least 1"),
    "an unknown data set": (["--config.data.name=kvj"], "did you mean kjv?"),
    "a missing sweep file": (["--config=sweeps/depth_stabilty.py"], "did you mean sweeps/depth_stability.py?"),
    "an unwritable workdir": (["--workdir=/proc/nowhere"], "cannot write in /proc"),
    "an unknown flag": (["--lane=2"], "did you mean --lanes?"),
    "a size of a file without sizes": (["--size=quick"], "has no SIZES; leave --size out"),
    "an unknown executor": (["--executor=loca"], "did you mean local?"),
    "a status that none has": (["--retry=faild"], "did you mean failed?"),
    "a device that none is": (["--device=gpus"], "expected one of auto, cpu, gpu; did you mean gpu?"),
    "a group of nobody": (["--group=0"], "expected a number of cells from 1, or auto"),
    "memory that is none": (["--lane_memory=lots"], "expected bytes, such as 500M or 4G"),
    "two mistakes at once": (["--config.model.widht=1", "--config.optim.nmae=sgd"], "did you mean optim.name?"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_input_is_one_line_status_2_and_nothing_written(tmp_path, wrong):
    arguments, expected = wrong
    workdir = tmp_path / "run"
    done = tiny.launch(f"--config={tiny.write(tmp_path)}", f"--workdir={workdir}", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == sum(argument.startswith("--config.") for argument in arguments) or (
        len(done.stderr.splitlines()) == 1
    )
    assert not done.stdout
    assert not workdir.exists()


def test_a_sweep_file_without_get_config(tmp_path):
    path = tiny.write(tmp_path, '"""A question?"""\n\ndef get_hyper(hyper):\n    return [{}]\n')
    done = tiny.launch(f"--config={path}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert "expected a function get_config()" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_writes_nothing(tmp_path):
    done = tiny.launch(f"--config={tiny.write(tmp_path)}", f"--workdir={tmp_path / 'run'}", "--dry_run")
    assert done.returncode == 0
    assert "8, of which 0 have a result" in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_workdir_of_another_sweep_is_refused(finished, tmp_path):
    _, workdir, _ = finished
    done = tiny.launch(f"--config={tiny.write(tmp_path, name='other.py')}", f"--workdir={workdir}")
    assert done.returncode == 2
    assert "holds the sweep 'tiny'" in done.stderr


def test_results_from_other_data_are_refused(finished):
    path, workdir, _ = finished
    manifest = records.sweep(workdir)
    manifest["data"]["markov1"]["fingerprint"] = "0" * 16
    kept = (records.Path(workdir) / "sweep.json").read_text()
    records.write_json(records.Path(workdir) / "sweep.json", manifest)
    done = tiny.launch(f"--config={path}", f"--workdir={workdir}")
    (records.Path(workdir) / "sweep.json").write_text(kept)
    assert done.returncode == 2
    assert "with fingerprint 0000000000000000" in done.stderr


def test_sweep_json_says_where_the_numbers_come_from(finished):
    _, workdir, _ = finished
    manifest = json.loads((records.Path(workdir) / "sweep.json").read_text())
    assert manifest["provenance"]["versions"]["jax"]
    assert manifest["data"]["markov1"]["fingerprint"]
    assert manifest["command"].startswith("python -m experiments.launch ")


@pytest.mark.parametrize("name", ["metrics.parquet", "status.json", "config.json"])
def test_a_damaged_cell_is_named_and_trained_again_when_asked(finished, tmp_path, name):
    path, workdir, _ = finished
    copied = tmp_path / "run"
    shutil.copytree(workdir, copied)
    cell, before = cells_of(workdir)[3], records.load_metrics(workdir)
    content = (records.cell_dir(copied, cell) / name).read_bytes()
    (records.cell_dir(copied, cell) / name).write_bytes(content[:-7])
    plain = tiny.launch(f"--config={path}", f"--workdir={copied}")
    if name == "config.json":  # which the launch knows
        assert plain.returncode == 0 and records.read_config(copied, cell) == records.read_config(workdir, cell)
        return
    assert plain.returncode == 1 and "[1/" not in plain.stdout and "1 damaged" in plain.stdout
    assert f"{cell}/{name}:damaged" in "".join(plain.stdout.split())
    again = tiny.launch(f"--config={path}", f"--workdir={copied}", "--retry=damaged")
    assert again.returncode == 0 and "[1/1]" in again.stdout
    assert records.load_metrics(copied).equals(before)


@pytest.mark.parametrize("name", ["cells", "cells/0123", "launches", "logs"])
def test_a_workdir_that_leads_elsewhere_is_refused(tmp_path, name):
    (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{name} is a link"):
        launch.check_workdir(str(tmp_path / "run"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    launch.check_workdir(str(tmp_path / "link"))  # where the whole lies is the user's choice
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_name_that_no_file_can_have_is_a_line():
    with pytest.raises(UserError, match=r"cannot write in .*File name too long"):
        launch.check_workdir("x" * 300)


def test_a_full_disk_is_a_line_and_the_same_command_continues(tmp_path):
    path, workdir = tiny.write(tmp_path), tmp_path / "run"
    environment = os.environ | {"PYTHONPATH": str(tiny.ROOT / "faults" / "injected"), "FAULT_FULL": "0.1"}
    for _ in range(6):  # each is cut off at another write
        full = tiny.launch(f"--config={path}", f"--workdir={workdir}", "--lanes=1", env=environment)
        assert files.unexplained(full.returncode, full.stderr) == []
    assert tiny.launch(f"--config={path}", f"--workdir={workdir}").returncode == 0
    assert list(check.check(workdir)) == []
