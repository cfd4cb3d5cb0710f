"""Who works on what: a lease is held by one launcher until it gives it back, dies, or stops to show that it lives.

    leases/<name>/<host>~<machine>~<pid>~<birth>~<since>~<nonce>      an empty file in a folder of its own

No locks of the file system are needed, only that renaming is atomic, as it is on local disks and on NFS. A lease is
taken by renaming a folder that holds such a file to its name, which fails while the folder there is not empty. It is
taken over by renaming the file of the old holder, whose name nobody else has, to one's own: only one can succeed, and
nobody can take what was renewed meanwhile. No decision looks at a clock of the wall: on one machine a holder is dead
when its process is; of another machine when its file has not been touched while one watched it for STALE seconds.
"""

import contextlib
import datetime
import functools
import hashlib
import os
import re
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

HEARTBEAT = 10.0  # seconds between two touches of a lease that is held; half a minute may pass until others see one
STALE = 120.0
STAMP = "%Y%m%dT%H%M%SZ"


class Lost(Exception):
    """The lease was taken over: its former holder must not write any more."""


class Holder(NamedTuple):
    """One process, by names that no other has: `machine` is a hash of host, boot and process namespace."""

    host: str
    machine: str
    pid: int
    birth: str
    since: str
    nonce: str

    @classmethod
    def read(cls, name: str) -> "Holder":
        """The holder that a file's name says. Raises: ValueError."""
        host, machine, pid, birth, since, nonce = name.split("~")
        return cls(host, machine, int(pid), birth, since, nonce)

    @property
    def name(self) -> str:
        """The name of its file."""
        return "~".join(map(str, self))

    def __str__(self) -> str:
        since = datetime.datetime.strptime(self.since, STAMP).replace(tzinfo=datetime.UTC)
        return f"process {self.pid} on {self.host}, since {since.isoformat(sep=' ', timespec='seconds')}"

    def alive(self) -> bool:
        """Whether the process runs; of this machine only."""
        return birth(self.pid) == self.birth


def myself() -> Holder:
    """This process, as of now."""
    host = re.sub(r"[^\w.-]", "-", socket.gethostname(), flags=re.ASCII)[:64] or "unnamed"
    since = datetime.datetime.now(datetime.UTC).strftime(STAMP)
    return Holder(host, machine(), os.getpid(), birth(os.getpid()) or "0", since, uuid.uuid4().hex[:12])


@functools.cache
def machine() -> str:
    """Where a process number means something: a host since it was started, and a namespace of processes in it."""
    said = [socket.gethostname(), str(uuid.getnode())]
    with contextlib.suppress(OSError):
        said = [socket.gethostname(), Path("/proc/sys/kernel/random/boot_id").read_text()]
        said.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def birth(pid: int) -> str | None:
    """When a process began, in ticks since the machine did where that is known; None when it runs no more."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self/stat").exists():
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            return None if fields[0] in "ZX" else fields[19]
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except (OSError, psutil.Error):
        return None


class Leases:
    """The leases that this process holds in a workdir, touched by a thread as long as there are any."""

    def __init__(self, workdir: str | os.PathLike):
        self.folder = Path(workdir) / "leases"
        self.mine: dict[str, Path] = {}
        self.watched: dict[str, tuple[str, int, float]] = {}  # name -> holder, its file's time, first seen so
        self.closed = threading.Event()
        self.thread: threading.Thread | None = None

    def take(self, name: str) -> bool:
        """Whether the lease is held from now on, or already was."""
        if name in self.mine:
            return True
        me = myself()
        if self.enter(name, me) or self.take_over(name, me):
            self.mine[name] = self.folder / name / me.name
            self.keep_alive()
        return name in self.mine

    def enter(self, name: str, me: Holder) -> bool:
        """Takes a lease that nobody holds."""
        mine = self.folder / f".{me.nonce}"
        mine.mkdir(parents=True)
        try:
            (mine / me.name).touch()
            mine.rename(self.folder / name)
            return True
        except OSError:  # the folder there is not empty
            return False
        finally:
            shutil.rmtree(mine, ignore_errors=True)

    def take_over(self, name: str, me: Holder) -> bool:
        """Takes a lease whose holder is dead."""
        holder = self.holder(name)
        if holder is None or not self.dead(name, holder):
            return False
        old = self.folder / name / holder.name
        try:
            os.utime(old)  # to those who watch from elsewhere, the file that is about to be mine is alive
            old.rename(old.with_name(me.name))
            return True
        except OSError:
            return False

    def holder(self, name: str) -> Holder | None:
        """Who holds a lease."""
        with contextlib.suppress(OSError, ValueError):
            for path in (self.folder / name).iterdir():
                return Holder.read(path.name)
        return None

    def dead(self, name: str, holder: Holder) -> bool:
        """Whether the holder of a lease can be taken to be gone."""
        if holder.machine == machine():
            return not holder.alive()
        with contextlib.suppress(OSError):
            touched = (self.folder / name / holder.name).stat().st_mtime_ns
            if self.watched.get(name, ())[:2] != (holder.name, touched):
                self.watched[name] = (holder.name, touched, time.monotonic())
            return time.monotonic() - self.watched[name][2] > STALE
        return False

    def give_back(self, name: str) -> None:
        """Ends a lease, so that others can take it."""
        if path := self.mine.pop(name, None):
            with contextlib.suppress(OSError):  # taken over, or the folder is another's already
                path.unlink()
                path.parent.rmdir()

    def keep_alive(self) -> None:
        """Begins to touch what is held."""
        if self.thread is None:
            self.thread = threading.Thread(target=self.beat, daemon=True)
            self.thread.start()

    def beat(self) -> None:
        while not self.closed.wait(HEARTBEAT):
            for path in [*self.mine.values()]:
                with contextlib.suppress(OSError):  # what was taken over is noticed by who is about to write
                    os.utime(path)

    def close(self) -> None:
        """Gives everything back."""
        self.closed.set()
        for name in [*self.mine]:
            self.give_back(name)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def tidy(self) -> None:
        """Removes what dead launchers of this machine left here; for who holds the lease on the sweep."""
        for path in self.folder.glob("*"):
            holder = None if path.name.startswith(".") else self.holder(path.name)
            if holder and self.dead(path.name, holder) and self.take(path.name):
                self.give_back(path.name)
            elif path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def hold(self, name: str, say: Callable[[Holder], None] = lambda _: None) -> Iterator[None]:
        """Waits for a lease that is held for moments only, and holds it. `say` is told of a holder that takes long."""
        begun, told = time.monotonic(), False
        while not self.take(name):
            time.sleep(0.05)
            if not told and time.monotonic() - begun > 2 and (holder := self.holder(name)):
                told = say(holder) is None
        try:
            yield
        finally:
            self.give_back(name)


def check(lease: str | None) -> None:
    """Raises: Lost, when the file of a lease is gone."""
    if lease is not None and not Path(lease).exists():
        raise Lost(lease)
