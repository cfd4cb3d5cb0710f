"""One cluster for all tests, and the same sweep as the lanes of this machine ran it."""

import subprocess
import sys

import pytest

from cluster.machines import ROOT, Cluster

SWEEP = [
    "--config=sweeps/depth_stability.py",
    "--config.model.num_layers=1",
    "--config.model.norm.kind=layernorm",
    "--config.optim.learning_rate=1e-3",
    "--config.train.steps=60",
    "--config.train.chunk_steps=10",
]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """The compiled programs of all machines."""
    return tmp_path_factory.mktemp("xla")


@pytest.fixture(scope="session")
def cluster(cache):
    """Two machines with their nodes up."""
    try:
        made = Cluster(cache)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are not allowed here: {getattr(error, 'stderr', '') or error}")
    try:
        made.up()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="session")
def reference(cluster, tmp_path_factory):
    """The workdir of the sweep, run by local lanes."""
    workdir = str(tmp_path_factory.mktemp("reference") / "run")
    command = [sys.executable, "-m", "experiments.launch", *SWEEP, f"--workdir={workdir}"]
    subprocess.run(command, cwd=ROOT, env=cluster.environment, check=True, capture_output=True)
    return workdir
