"""A bucket as workdir, on an S3 server on loopback: two machines with nothing but it in common."""

import os
import socket
import subprocess
import sys
import time

import pytest
import s3fs

from cluster.machines import ROOT
from experiments import check, equality, records
from tests.experiments import tiny

URL = "s3://bucket/runs/tiny"


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache):
    """The variables with which any S3 client finds the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path_factory.mktemp("s3") / "server.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H127.0.0.1", f"-p{port}"], stderr=log)
    said = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in said.items():
            patch.setenv(name, value)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        s3fs.S3FileSystem().mkdir("bucket")
        yield said
    process.terminate()
    process.wait()


def command(module, home, *arguments):
    """A command of a machine that is known by its home."""
    command = [sys.executable, "-m", f"experiments.{module}", f"--workdir={URL}", *arguments]
    environment = os.environ | {"HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_a_sweep_in_a_bucket_is_the_sweep_in_a_folder(server, tmp_path):
    config = f"--config={tiny.write(tmp_path)}"
    here = str(tmp_path / "run")
    assert tiny.launch(config, f"--workdir={here}", "--lanes=1").returncode == 0
    done = command("launch", tmp_path / "one", config, "--lanes=1")
    assert done.returncode == 0 and "[8/8]" in done.stdout, done.stderr
    again = command("launch", tmp_path / "two", config, "--lanes=1")
    assert again.returncode == 0 and "[1/" not in again.stdout, again.stderr
    mirror = tmp_path / "two" / ".cache" / "flax_tx" / "mirrors" / "s3" / "bucket" / "runs" / "tiny"
    cells = records.sweep(here)["cells"]
    assert [one for cell in cells for one in equality.compare(cell, here, mirror) if one.difference] == []
    assert list(check.check(mirror)) == []
    table = command("table", tmp_path / "three", "--format=csv")
    assert table.stdout and table.stdout == command("table", tmp_path / "one", "--format=csv").stdout


def test_a_bucket_that_is_not_there_is_a_line(server, tmp_path):
    done = command("status", tmp_path / "one", "--workdir=s3://nowhere/run")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
