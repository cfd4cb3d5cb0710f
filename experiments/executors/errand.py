"""What a node does for a launch: a lane runs the cells of one program there, as it would beside the launcher.

The node looks for the file of the launch's lease. Where it sees it, it has the same workdir, and its lane writes
there. Elsewhere the lane trains in a folder of its own, and the result of each cell goes back with its last event.
"""

import dataclasses
import getpass
import itertools
import queue
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from experiments import provenance, records
from experiments.executors import devices
from experiments.executors.backlog import Task
from experiments.executors.devices import Device
from experiments.executors.worker import Lane
from experiments.settings import Settings


@dataclass(frozen=True)
class Errand:
    """Cells of one program with their config.json as bytes, and what the node needs to run them as the launcher would.

    `lane`: the number of the lane. `lease`: the file that is there as long as results may be written. `code`: a hash of
    the source that trains, which the node must have as well.
    """

    workdir: str
    program: str
    configs: dict[str, bytes]
    settings: Settings
    lane: int
    lease: str
    code: str


class Misplaced(Exception):
    """This node cannot run what the launcher would."""


def run(errand: Errand) -> Iterator[dict]:
    """The events of the engine, {"event": "ready"} before them, {"event": "dead", "reason", "started"} of a lost lane.

    A "cell" has the "files" of its result with it, where this node does not see the workdir.
    Raises: Misplaced, where another version of the code is installed here.
    """
    if provenance.code() != errand.code:
        raise Misplaced(f"{socket.gethostname()}: flax_tx in {Path(__file__).parents[2]} is another version")
    with place(errand) as (workdir, lease), device(errand.settings.device, errand.settings.lane_devices) as owned:
        for event in work(errand, workdir, lease, owned):
            apart = lease is None and event["event"] == "cell"
            yield event | {"files": records.read_files(workdir, event["cell"])} if apart else event


@contextmanager
def place(errand: Errand) -> Iterator[tuple[str, str | None]]:
    """The workdir of the launch and its lease, or a folder that goes afterwards, with the configs in it, and none."""
    if Path(errand.lease).exists():
        yield errand.workdir, errand.lease
        return
    with tempfile.TemporaryDirectory(prefix="flax_tx_", ignore_cleanup_errors=True) as folder:
        for cell, config in errand.configs.items():
            records.write_bytes(records.cell_dir(folder, cell) / "config.json", config)
        yield folder, None


@contextmanager
def device(kind: str, each: int = 1) -> Iterator[Device]:
    """The GPUs that Ray has given this task; else a core that no other errand of this user has, while there is one.
    What needs several cores has any."""
    found, own = devices.own(kind, 1, each)[0], devices.cores()
    if found.kind == "gpu" or each > 1:
        yield found
        return
    folder = Path(tempfile.gettempdir()) / f"flax_tx-cores-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in itertools.count():
        lock = FileLock(folder / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield dataclasses.replace(found, indices=(str(own[number % len(own)]),))
        finally:
            lock.release()
        return


def work(errand: Errand, workdir: str, lease: str | None, owned: Device) -> Iterator[dict]:
    """Starts a lane on a device, gives it the cells, and passes on what it says."""
    settings, events = errand.settings, queue.Queue()
    if lease is None:  # nothing of this folder outlives the errand
        settings = dataclasses.replace(settings, checkpoint_seconds=-1.0, keep_state=False)
    lane = Lane(workdir, errand.lane, owned, events, settings.lane_memory)
    try:
        lane.give(Task(errand.program, [*errand.configs]), settings, lease)
        yield from heard(lane, events)
    finally:
        lane.stop()


def heard(lane: Lane, events: queue.Queue) -> Iterator[dict]:
    """What a lane says of its only task: "ready" when it begins with it, and on until it is idle again, or dead."""
    ready, kind = False, ""
    while kind not in ("dead", "stop"):
        event = events.get()[1]
        kind = event["event"]
        if kind == "idle" and ready:
            return
        if kind == "idle":
            ready, event = True, {"event": "ready"}
        if kind == "dead":
            event |= {"started": ready, "reason": event["reason"] + ("" if ready else last_words(lane.log))}
        yield event


def last_words(log: Path) -> str:
    """The last line of the log of a lane."""
    lines = [line.strip()[:200] for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1]})" if lines else ""
