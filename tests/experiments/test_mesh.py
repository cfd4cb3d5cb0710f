"""Cells on several devices through the launcher: lanes with devices of their own, and processes that train together."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import records
from tests.experiments import tiny
from tests.flax_tx.test_mesh import on_eight_devices

ONE_CELL = ("--config.model.wiring=pre", "--config.optim.learning_rate=1e-2", "--config.seed.init=0")


def test_the_engine_runs_cells_on_eight_devices():
    done = on_eight_devices("tests/experiments/eight_devices.py")
    print(done.stdout[-20000:], done.stderr[-2000:])
    assert done.returncode == 0


def result(workdir):
    """(losses of every step, validation loss) of the one cell of a workdir."""
    (row,) = records.load(workdir).to_dict("records")
    assert row["status"] in ("done", "stuck"), row.get("reason")
    return records.load_metrics(workdir).train_loss.to_numpy(), row["val_loss"]


def same(workdir, other):
    for found, expected in zip(result(workdir), result(other), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def run(folder, name, *arguments):
    """A launch of the one cell; its workdir."""
    workdir = str(folder / name)
    done = tiny.launch(f"--config={tiny.write(folder)}", f"--workdir={workdir}", *ONE_CELL, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return workdir


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The cell on one device: the folder of its sweep file, and its workdir."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, run(folder, "alone", "--executor=inline")


@pytest.mark.parametrize("executor", [pytest.param("inline", marks=pytest.mark.slow), "local"])
def test_an_executor_gives_a_cell_its_devices(alone, executor):
    folder, workdir = alone
    same(run(folder, executor, f"--executor={executor}", "--config.mesh.data=2"), workdir)


def free_port():
    """A port of this machine that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Together:
    """Two processes on this machine that train one cell, each with one of its two devices."""

    def __init__(self, folder, name, *arguments):
        self.workdir, port = str(folder / name), free_port()
        common = [f"--config={folder / 'tiny.py'}", f"--workdir={self.workdir}", *ONE_CELL, "--config.mesh.fsdp=2"]
        common += ["--executor=distributed", f"--coordinator=127.0.0.1:{port}", "--num_processes=2", *arguments]
        self.logs = [(folder / f"{name}-{i}.log").open("w+") for i in (0, 1)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "experiments.launch", *common, f"--process_id={i}"],
                cwd=tiny.ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            for i, log in enumerate(self.logs)
        ]

    def said(self):
        for log in self.logs:
            log.seek(0)
        return "\n".join(log.read() for log in self.logs)

    def end(self):
        """Waits for both; their exit statuses."""
        return [process.wait(timeout=300) for process in self.processes]


def test_two_processes_train_one_cell_as_one_process_does(alone):
    folder, workdir = alone
    together = Together(folder, "together")
    assert together.end() == [0, 0], together.said()
    same(together.workdir, workdir)


LONG = ("--config.train.steps=100", "--checkpoint_seconds=0")


def killed(together, victims):
    """Kills these of the processes when there is a checkpoint, and gives it when both have ended."""
    while not [*records.Path(together.workdir).glob("checkpoints/*/*.json")]:
        assert all(process.poll() is None for process in together.processes), together.said()
        time.sleep(0.02)
    for victim in victims:
        together.processes[victim].send_signal(signal.SIGKILL)
    assert 0 not in together.end()
    return next(records.Path(together.workdir).glob("checkpoints/*/*.json"))


@pytest.mark.slow
def test_a_process_that_is_gone_ends_the_launch_and_fails_no_cell(alone):
    together = Together(alone[0], "bereaved", *LONG)
    assert killed(together, [1])
    assert not [*records.Path(together.workdir).glob("cells/*/status.json")]


@pytest.mark.slow
def test_two_processes_go_on_from_a_checkpoint_after_both_were_killed(alone):
    folder, _ = alone
    kept = killed(Together(folder, "killed", *LONG), [0, 1])
    about = json.loads(kept.read_text())
    records.write_json(kept, about | {"seconds": about["seconds"] + 1000})
    again = Together(folder, "killed", *LONG)
    assert again.end() == [0, 0], again.said()
    (row,) = records.load(again.workdir).to_dict("records")
    assert row["train_seconds"] > 1000
    same(again.workdir, run(folder, "uninterrupted", "--executor=inline", "--config.train.steps=100"))
