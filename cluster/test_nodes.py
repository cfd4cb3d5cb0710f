"""A sweep on two nodes is the sweep on this machine, to the bit, whatever is killed while it runs."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.conftest import SWEEP
from cluster.machines import ROOT
from experiments import check, equality, records

CELLS = 10


@pytest.fixture
def workdir(tmp_path):
    return str(tmp_path / "run")


@pytest.fixture(autouse=True)
def whole(cluster):
    """Nodes that another test killed are there again."""
    cluster.up()


def table(workdir):
    command = [sys.executable, "-m", "experiments.table", f"--workdir={workdir}", "--format=csv"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def assert_equal(workdir, reference):
    """Every cell to the bit, the table, and nothing that lies about."""
    cells = records.sweep(reference)["cells"]
    assert len(cells) == CELLS
    differences = [one for cell in cells for one in equality.compare(cell, reference, workdir) if one.difference]
    assert differences == []
    assert table(workdir) == table(reference)
    assert list(check.check(workdir)) == []


def until(process, pattern):
    """The lines of a launch up to one that matches."""
    said = []
    for line in process.stdout:
        said.append(line)
        if re.match(pattern, line):
            return said
    raise AssertionError("".join(said) + process.stderr.read())


def ended(process, status=0):
    """What a launch says from now on; it must end so."""
    output, errors = process.communicate(timeout=240)
    assert process.returncode == status, output + errors
    assert "Traceback" not in errors
    return output, errors


def wait_for(find, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def workers(machine):
    """The processes of Ray that run an errand on a machine."""
    return [process for process in machine.processes() if process.name().startswith("ray::flax_tx")]


def test_a_killed_worker_and_a_killed_lane_cost_a_try(cluster, reference, workdir):
    launch = cluster.launch(*SWEEP, f"--workdir={workdir}")
    until(launch, r"\[1/")
    (worker, *_) = wait_for(lambda: workers(cluster.other))
    worker.kill()
    lane = wait_for(lambda: [one for process in workers(cluster.head) for one in process.children()])[0]
    lane.kill()
    output, _ = ended(launch)
    assert "worker died" in output and "lane died: SIGKILL" in output
    assert_equal(workdir, reference)


def test_a_killed_node_costs_no_cell(cluster, reference, workdir):
    launch = cluster.launch(*SWEEP, f"--workdir={workdir}")
    until(launch, r"\[1/")
    wait_for(lambda: workers(cluster.other))
    cluster.other.crash()
    output, _ = ended(launch)
    assert f"the node {cluster.other.address} was lost" in output
    assert_equal(workdir, reference)


def test_a_killed_launcher_and_the_same_command(cluster, reference, workdir):
    launch = cluster.launch(*SWEEP, f"--workdir={workdir}", "--checkpoint_seconds=0", start_new_session=True)
    until(launch, r"\[3/")
    os.killpg(launch.pid, signal.SIGKILL)
    launch.communicate()
    wait_for(lambda: not workers(cluster.head) + workers(cluster.other))
    before = records.finished(workdir, records.sweep(workdir)["cells"])
    output, _ = ended(cluster.launch(*SWEEP, f"--workdir={workdir}"))
    assert f"[1/{CELLS - len(before)}]" in output
    assert_equal(workdir, reference)


def test_nodes_that_do_not_see_the_workdir_send_the_records(cluster, reference, tmp_path):
    hidden, copied = tmp_path / "hidden", tmp_path / "copied"
    hidden.mkdir()
    script = f'mount -t tmpfs none {hidden} && "$@" && cp -r {hidden}/run {copied}'  # a mount of this process alone
    launch = cluster.launch(*SWEEP, f"--workdir={hidden}/run", under=["unshare", "-m", "sh", "-c", script, "sh"])
    ended(launch)
    assert not list(hidden.iterdir())
    assert not (copied / "logs").exists()
    assert_equal(str(copied), reference)


def test_a_wrong_token_is_a_line_and_nothing_is_written(cluster, workdir):
    launch = cluster.launch(*SWEEP, f"--workdir={workdir}", env={"RAY_AUTH_TOKEN": "0" * 64})
    output, errors = ended(launch, status=2)
    assert len(errors.splitlines()) == 1 and "cannot join (it has another token than RAY_AUTH_TOKEN" in errors
    assert not output
    assert not Path(workdir).exists()


def test_no_cluster_there_is_a_line(cluster, workdir):
    launch = cluster.launch(*SWEEP, f"--workdir={workdir}", "--ray_address=10.77.0.2:1")
    _, errors = ended(launch, status=2)
    assert errors == "--ray_address = '10.77.0.2:1': no Ray cluster can be reached there (Connection refused)\n"
