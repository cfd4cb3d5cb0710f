"""The devices of lanes: found without JAX, each lane with its own; what cannot be is a line."""

import os
import queue
import subprocess
import sys

import pytest

from experiments.executors import devices, worker
from experiments.executors.devices import Device
from tests.experiments import tiny


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without GPUs whose JAX has CUDA: a function that gives it some, for the driver or for nvidia-smi."""
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", *devices.FRACTIONS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "gpus")
    monkeypatch.setattr(devices, "plugin", lambda: True)

    def give(driver=0, smi=0, visible=None):
        for index in range(driver):
            (tmp_path / "gpus" / f"0000:{index:02d}:00.0").mkdir(parents=True)
        lines = "\n".join(f"GPU {index}: NVIDIA H100 (UUID: GPU-{index})" for index in range(smi))
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nif test $1 = -L; then echo '{lines}'; fi\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return give


def named(lanes):
    return [(device.kind, ",".join(device.indices)) for device in lanes]


VISIBLE = {
    "all of the driver": ({"driver": 3}, ["0", "1", "2"]),
    "all of nvidia-smi": ({"smi": 2}, ["0", "1"]),
    "some": ({"driver": 8, "visible": "2,5"}, ["2", "5"]),
    "by their names": ({"visible": " GPU-8f1c-77, MIG-0a/1/2"}, ["GPU-8f1c-77", "MIG-0a/1/2"]),
    "up to the first that is none": ({"driver": 8, "visible": "1,-1,2"}, ["1"]),
    "none": ({"driver": 8, "visible": ""}, []),
}


@pytest.mark.parametrize("given, expected", VISIBLE.values(), ids=VISIBLE)
def test_gpus_are_those_that_cuda_shows(machine, given, expected):
    machine(**given)
    assert devices.gpus() == expected
    lanes = devices.own("auto")
    assert named(lanes) == ([("gpu", name) for name in expected] or [("cpu", str(core)) for core in devices.cores()])


def test_every_lane_sees_its_own_gpu_and_no_other(machine):
    machine(visible="3,4")
    assert [lane.environment["CUDA_VISIBLE_DEVICES"] for lane in devices.own("gpu")] == ["3", "4"]
    assert {lane.environment["JAX_PLATFORMS"] for lane in devices.own("gpu")} == {"cuda,cpu"}


def test_lanes_that_share_a_gpu_share_its_memory(machine, monkeypatch):
    machine(visible="0,1")
    lanes = devices.own("gpu", 3)
    assert named(lanes) == [("gpu", "0"), ("gpu", "1"), ("gpu", "0")]
    assert [lane.environment[devices.FRACTIONS[0]] for lane in lanes] == ["0.450", "0.900", "0.450"]
    monkeypatch.setenv(devices.FRACTIONS[1], "0.3")
    assert not any(name in lane.environment for lane in devices.own("gpu", 3) for name in devices.FRACTIONS)


def test_a_cell_on_several_gpus_has_a_lane_that_owns_them(machine):
    machine(visible="0,1,2,3,4")
    assert named(devices.own("gpu", each=2)) == [("gpu", "0,1"), ("gpu", "2,3")]
    assert [lane.environment["CUDA_VISIBLE_DEVICES"] for lane in devices.own("gpu", each=2)] == ["0,1", "2,3"]
    assert list(devices.lacking("auto", 5)) == []
    (line,) = devices.lacking("auto", 8)
    assert line.endswith("= 8: expected at most the 5 GPUs of this machine, or --device=cpu")
    assert list(devices.lacking("cpu", 8)) == []
    assert named(devices.own("gpu", each=8)) == [("gpu", "0,1,2,3,4")]


def test_cores_where_gpus_are_not_wanted_or_not_usable(machine, monkeypatch):
    machine(driver=2)
    assert {lane.kind for lane in devices.own("cpu")} == {"cpu"}
    assert devices.own("cpu")[0].environment == {"JAX_PLATFORMS": "cpu"}
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert {lane.kind for lane in devices.own("auto")} == {"cpu"}
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setattr(devices, "plugin", lambda: False)
    assert {lane.kind for lane in devices.own("auto")} == {"cpu"}
    (note,) = devices.notes("auto")
    assert note.startswith("2 GPUs stay idle") and 'pip install "jax[cuda13]==' in note
    assert not list(devices.notes("cpu"))


def test_what_is_asked_for_and_not_there_is_a_line(machine, monkeypatch):
    assert next(devices.problems("gpu")).startswith("--device = 'gpu': no GPU in CUDA_VISIBLE_DEVICES")
    machine(driver=1)
    assert not list(devices.problems("gpu"))
    monkeypatch.setattr(devices, "plugin", lambda: False)
    (line,) = devices.problems("gpu")
    assert line.startswith("--device = 'gpu': this JAX has no CUDA; pip install")
    (line,) = devices.problems("gpus")
    assert line.endswith("did you mean gpu?")


def test_a_lane_runs_with_the_variables_of_its_device(tmp_path, monkeypatch):
    real, commands = subprocess.Popen, []
    code = 'import os; print(\'{"event": "%s"}\' % os.environ["CUDA_VISIBLE_DEVICES"])'
    start = lambda command, **rest: commands.append(command) or real([sys.executable, "-c", code], **rest)  # noqa: E731
    monkeypatch.setattr(worker.subprocess, "Popen", start)
    events = queue.Queue()
    lane = worker.Lane(str(tmp_path), 0, Device("gpu", ("5",), {"CUDA_VISIBLE_DEVICES": "5"}), events)
    assert events.get(timeout=60)[1] == {"event": "5"}
    assert commands[0][-3:] == [str(tmp_path), "gpu", "5"]
    lane.stop()


def test_the_launcher_finds_gpus_and_imports_no_jax():
    code = (
        "import sys; from experiments import launch; from experiments.executors import devices, local\n"
        "assert [lane.indices for lane in devices.own('gpu')] == [('0',), ('1',)], devices.own('gpu')\n"
        "assert 'jax' not in sys.modules and 'jaxlib' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tiny.ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
