"""A Ray cluster as a launch sees it: whether it can be joined, with one line where not, and what its nodes have.

Ray is imported here alone, and only by a launch that asks for it: it reads its environment when it is imported.
"""

import contextlib
import functools
import importlib.metadata
import os
import re
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from flax_tx.errors import UserError

OLDEST, NEWEST = (2, 60), (3,)  # from the first on, and before the second
WANTED = "ray>=2.60,<3"
INSTALL = "pip install -r requirements-cluster.txt"
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}  # unless the user's says otherwise
PASSED = ("JAX_", "XLA_", "TFDS_")  # variables of a launch that its lanes have as well, as they would here
PRIVATE = {"include_dashboard": False, "object_store_memory": 100 << 20}  # of a cluster of one's own
SPECIAL = ("auto", "local")
ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})")
REFUSED = b"InvalidAuthToken"
TOKEN = "it has another token than RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token says"
PATIENCE = 5.0  # seconds for a head node to answer
ROOT = Path(__file__).parents[2]

Resources = Mapping[str, float]


@functools.cache
def library() -> ModuleType:
    """Ray, told beforehand to ask for the token of the cluster and to report nothing to its makers."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


def problems(address: str) -> Iterator[str]:
    """What can be seen to be wrong before a cluster is joined, a line each."""
    yield from installation()
    yield from wrong_address(address)


def installation() -> Iterator[str]:
    """A line where Ray is not there, or is of another version."""
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        yield f"--executor = 'ray': Ray is not installed; {INSTALL}"
        return
    if not OLDEST <= tuple(map(int, re.findall(r"\d+", version)[:2])) < NEWEST:
        yield f"--executor = 'ray': Ray {version} is installed; expected {WANTED}: {INSTALL}"


def wrong_address(address: str) -> Iterator[str]:
    """A line for an address that is none, or where nothing listens."""
    if address in SPECIAL:
        return
    said = f"--ray_address = {address!r:.80}"
    if not (found := ADDRESS.fullmatch(address)):
        yield f"{said}: expected auto, local or HOST:PORT"
        return
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), PATIENCE).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        yield f"{said}: no Ray cluster can be reached there ({reason})"


def join(address: str) -> None:
    """Makes this process a driver of the cluster, unless it is one. Raises: UserError, one line."""
    ray = library()
    if ray.is_initialized():
        return
    if address == "local":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray leaves one in the home folder
    with overheard() as said:
        try:
            with signals_kept():
                ray.init(
                    address,
                    log_to_driver=False,
                    logging_level="CRITICAL",
                    runtime_env={"env_vars": environment()},
                    **(PRIVATE if address == "local" else {}),
                )
        except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            said.seek(0)
            reason = TOKEN if REFUSED in said.read() else " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"--ray_address = {address!r:.80}: cannot join ({reason:.300})") from None
    ray._private.worker._worker_logs_enabled = False  # Ray would print over the progress what it says of a lost node


def leave() -> None:
    """Ends this driver: the cluster stops what runs for it. A cluster of its own ends as well, no other does."""
    library().shutdown()


@contextmanager
def overheard() -> Iterator[BinaryIO]:
    """A file with what is written to stderr meanwhile: Ray's C++ says there, many times over, why it is refused."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Gives the signals back that Ray takes when a driver joins."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        with contextlib.suppress(ValueError):  # outside the main thread no handler was taken
            signal.signal(number, handler)


def environment() -> dict[str, str]:
    """The variables of a lane: those of this process that decide a number, and where the code is, if that is shared."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    return passed | {"PYTHONPATH": f"{ROOT}:${{PYTHONPATH}}"}


def nodes() -> dict[str, Resources]:
    """Name of each node that lives -> what it has: CPU, GPU, memory in bytes."""
    living = [node for node in library().nodes() if node["Alive"]]
    return {f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})": node["Resources"] for node in living}


def room(demand: Resources) -> int:
    """How many lanes of this demand the nodes hold at once."""
    return sum(
        min(int(node.get(name, 0) // amount) for name, amount in demand.items() if amount) for node in nodes().values()
    )


def lacking(demand: Resources, having: Mapping[str, Resources]) -> str:
    """Why none of these nodes can hold a lane of this demand, in a few words; empty where one can."""
    if any(all(node.get(name, 0) >= amount for name, amount in demand.items()) for node in having.values()):
        return ""
    most = {name: max((node.get(name, 0) for node in having.values()), default=0) for name in demand}
    short = {name: amount for name, amount in demand.items() if most[name] < amount} or demand
    needed, there = (", ".join(said(name, amounts[name]) for name in short) for amounts in (demand, most))
    return f"needs {needed} of one node; the largest has {there}"


def said(resource: str, amount: float) -> str:
    """An amount of a resource in words."""
    return f"{amount / 1e9:.1f} GB of memory" if resource == "memory" else f"{amount:g} {resource}"
