"""What is wrong with a cluster is a line before anything is written, without Ray; and where a lane fits."""

import importlib.metadata
import socket

import pytest

from experiments.executors import cluster
from tests.experiments import tiny

SMALL = {"CPU": 4.0, "memory": 8e9}
LARGE = {"CPU": 2.0, "memory": 64e9, "GPU": 1.0}


def version(monkeypatch, found):
    def ask(name):
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", ask)
    return list(cluster.installation())


@pytest.mark.parametrize("good", ["2.60.0", "2.61.3", "2.100.0rc1"])
def test_versions_that_were_tried_and_later_ones(monkeypatch, good):
    assert version(monkeypatch, good) == []


def test_another_version_or_none_is_a_line_that_says_what_to_install(monkeypatch):
    for found, said in ((None, "not installed"), ("2.59.1", "2.59.1 is installed"), ("3.0.0", "3.0.0 is installed")):
        (line,) = version(monkeypatch, found)
        assert said in line and cluster.INSTALL in line


@pytest.mark.parametrize("wrong", ["", "head", "10.0.0.1", ":6379", "http://head:6379", "head:port"])
def test_what_is_no_address_is_a_line(wrong):
    assert list(cluster.wrong_address(wrong)) == [f"--ray_address = {wrong!r}: expected auto, local or HOST:PORT"]


def test_an_address_is_tried():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert list(cluster.wrong_address(address)) == []
    (line,) = cluster.wrong_address(address)
    assert line.endswith("no Ray cluster can be reached there (Connection refused)")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--ray_address=auto"], "--ray_address = 'auto': expected none with --executor=local"),
        (["--task_cpus=0"], "--task_cpus = 0.0: expected more than 0"),
        (["--task_gpus=-1"], "--task_gpus = -1.0: expected 0 or more"),
    ],
)
def test_flags_that_say_nothing_are_a_line(tmp_path, flags, expected):
    done = tiny.launch(f"--config={tiny.write(tmp_path)}", f"--workdir={tmp_path / 'run'}", *flags)
    assert (done.returncode, done.stderr) == (2, f"{expected}\n")
    assert not (tmp_path / "run").exists()


def test_room_is_counted_node_by_node(monkeypatch):
    monkeypatch.setattr(cluster, "nodes", lambda: {"a": SMALL, "b": LARGE})
    assert cluster.room({"CPU": 1.0, "GPU": 0.0}) == 6
    assert cluster.room({"CPU": 3.0, "GPU": 0.0}) == 1
    assert cluster.room({"CPU": 1.0, "GPU": 1.0}) == 1


def test_a_lane_fits_on_a_node_or_the_line_says_what_is_short():
    nodes = {"a": SMALL, "b": LARGE}
    assert cluster.lacking({"CPU": 2.0, "memory": 60e9}, nodes) == ""
    assert "needs 70.0 GB of memory of one node; the largest has 64.0 GB" in cluster.lacking(
        {"CPU": 1.0, "memory": 70e9}, nodes
    )
    both = cluster.lacking({"CPU": 4.0, "memory": 60e9}, nodes)  # each somewhere, but nowhere both
    assert both == "needs 4 CPU, 60.0 GB of memory of one node; the largest has 4 CPU, 64.0 GB of memory"
    assert "the largest has 0 CPU" in cluster.lacking({"CPU": 1.0}, {})
