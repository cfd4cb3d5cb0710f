"""A lane as its launcher sees it: a process, the task that it has, and threads that listen to it and watch it."""

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from experiments.executors.backlog import Task
from experiments.executors.devices import Device
from experiments.settings import Settings

GLANCE = 0.1  # seconds between two looks at the memory of a lane
PATIENCE = 600.0  # seconds that a lane may take to start: a file system may be slow, but not that slow


class Lane:
    """A worker process. Its events are put on a common queue as pairs (lane, event); the last one is "dead"."""

    def __init__(self, workdir: str, number: int, device: Device, events: queue.Queue, memory: int = 0):
        self.number, self.device, self.events, self.memory = number, device, events, memory
        self.task: Task | None = None
        self.idle = self.started = False
        self.fault = ""  # why it was stopped, where that was not its own doing
        self.log = Path(workdir) / "logs" / f"lane-{number}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "experiments.executors.lane", workdir, device.kind, device.index],
                env=os.environ | device.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,  # Ctrl-C reaches the launcher, which decides
                text=True,
            )
        for watch in (self.listen, self.supervise):
            threading.Thread(target=watch, daemon=True).start()

    def listen(self) -> None:
        """Hands on what the process says, and that it ended."""
        with self.process.stdout as output:
            for line in output:
                self.started = True
                with contextlib.suppress(ValueError):  # a line that its death cut off
                    self.events.put((self, json.loads(line)))
        self.events.put((self, {"event": "dead", "reason": self.fault or death(self.process.wait())}))

    def supervise(self) -> None:
        """Ends a process that does not start, or that takes more memory than it may."""
        begun = time.monotonic()
        with contextlib.suppress(psutil.Error):  # it may be dead by now
            process = psutil.Process(self.process.pid)
            while self.process.poll() is None and (self.memory or not self.started):
                time.sleep(GLANCE)
                used = process.memory_info().rss
                if self.memory and used > self.memory:
                    self.end(f"lane used {used / 1e6:,.0f} MB, more than --lane_memory = {self.memory / 1e6:,.0f} MB")
                if not self.started and time.monotonic() - begun > PATIENCE:
                    self.end(f"lane did not start within {PATIENCE:.0f} s")

    def end(self, fault: str) -> None:
        """Ends the process for a reason."""
        self.fault = fault
        self.process.kill()

    def give(self, task: Task, settings: Settings, lease: str) -> None:
        """Hands a task to the process."""
        self.task, self.idle = task, False
        line = json.dumps({"cells": task.cells, "settings": dataclasses.asdict(settings), "lease": lease})
        with contextlib.suppress(OSError):  # a lane that just died is noticed by its listener
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        """Ends the process and waits for that."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


def death(code: int) -> str:
    """Why a process ended, from its exit status."""
    return f"lane died: {signal.Signals(-code).name}" if code < 0 else f"lane died with exit status {code}"
