"""Two machines on one: network namespaces joined by a cable, each with a Ray node of its own; root only."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
RAY = str(Path(sys.executable).with_name("ray"))
PORT = 6379
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"  # to compile; lanes must have it too
PATIENCE = 180.0  # seconds for a node to be up, on a machine that has other work
NODE = ("--num-cpus=1", "--memory=2000000000", "--object-store-memory=100000000", "--disable-usage-stats", "--block")


def ip(*arguments: str) -> None:
    """One command of iproute2. Raises: CalledProcessError, FileNotFoundError."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Machine:
    """A network namespace with one address, and the Ray node in it."""

    def __init__(self, name: str, address: str, environment: dict[str, str]):
        self.name, self.address, self.environment = name, address, environment
        self.folder = tempfile.mkdtemp(prefix="ftx", dir="/tmp")  # short, since sockets lie in it
        self.log = Path(self.folder) / "node.log"
        ip("netns", "add", name)

    def plug(self, cable: str) -> None:
        """One end of a cable, and the address on it."""
        ip("link", "set", cable, "netns", self.name)
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", cable)
        for device in ("lo", cable):
            ip("-n", self.name, "link", "set", device, "up")

    def start(self, *command: str, **kwargs) -> subprocess.Popen:
        """A process on this machine."""
        environment = self.environment | kwargs.pop("env", {})
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], cwd=ROOT, env=environment, **kwargs)

    def join(self, *where: str) -> None:
        """Starts the Ray node, and waits until it is up."""
        command = [RAY, "start", *where, *NODE, f"--node-ip-address={self.address}", f"--temp-dir={self.folder}/ray"]
        with self.log.open("w") as log:
            self.start(*command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while "Ray runtime started" not in (said := self.log.read_text()):
            if time.monotonic() > deadline:
                raise TimeoutError(said)
            time.sleep(0.1)

    def processes(self) -> Iterator[psutil.Process]:
        """What runs here."""
        listed = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        for pid in map(int, listed.stdout.split()):
            if psutil.pid_exists(pid):
                yield psutil.Process(pid)

    def crash(self) -> None:
        """Ends everything here at once."""
        while living := list(self.processes()):
            for process in living:
                process.kill() if process.is_running() else None
            psutil.wait_procs(living, timeout=5)

    def remove(self) -> None:
        """Leaves nothing."""
        self.crash()
        ip("netns", "del", self.name)
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """A head and another node, with a token that both know."""

    def __init__(self, cache: Path):
        tag, cables = f"ftx{os.getpid()}", (f"a{os.getpid()}", f"b{os.getpid()}")
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "XLA_FLAGS": QUICK,
            "RAY_raylet_start_wait_time_s": f"{PATIENCE:.0f}",
        }
        self.address = f"10.77.0.1:{PORT}"
        self.machines: list[Machine] = []
        try:
            ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
            for number, cable in enumerate(cables, 1):
                self.machines.append(Machine(f"{tag}-{number}", f"10.77.0.{number}", self.environment))
                self.machines[-1].plug(cable)
        except BaseException:
            self.remove()
            raise

    @property
    def head(self) -> Machine:
        """The machine with the head node, on which launches are started."""
        return self.machines[0]

    @property
    def other(self) -> Machine:
        """The other one."""
        return self.machines[1]

    def up(self) -> None:
        """Starts the nodes that do not run, the head first."""
        for machine, where in zip(
            self.machines,
            (("--head", f"--port={PORT}", "--include-dashboard=false"), (f"--address={self.address}",)),
            strict=True,
        ):
            if not any("raylet" in process.name() for process in machine.processes()):
                machine.join(*where)

    def launch(self, *arguments: str, **kwargs) -> subprocess.Popen:
        """A launch with its lanes on this cluster, its output as text."""
        flags = ["--executor=ray", f"--ray_address={self.address}", *arguments]
        command = [sys.executable, "-m", "experiments.launch", *flags]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return self.head.start(*kwargs.pop("under", ()), *command, **pipes, **kwargs)

    def remove(self) -> None:
        """Leaves nothing."""
        for machine in self.machines:
            machine.remove()
