"""The running of a plan: how the flags of a launch say it, what is run again, and how it ends when interrupted."""

import argparse
import importlib
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import psutil
from rich.console import Console

from experiments import launches, leftovers, processes, progress, provenance, records
from experiments import plan as planning
from experiments.command import Interrupted
from experiments.executors.local import shares
from experiments.leases import Holder, Leases
from experiments.plan import Plan
from experiments.settings import Settings
from flax_tx.config import to_dict
from flax_tx.errors import nearest

EXECUTOR = "experiments.executors."
EXECUTORS = ("local", "inline", processes.EXECUTOR)
RETRIED = ("failed", "diverged", "stuck", records.DAMAGED)
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
SAME_QUESTION = ("size", "cells", "programs", "axes", "tables", "claims", "figure", "data", "question")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SHARE = 0.9  # of the memory of the machine, for all lanes together


def add_flags(flags: argparse.ArgumentParser) -> None:
    """The flags of a command that runs programs."""
    flags.add_argument("--executor", default="local", help=f"one of {', '.join(EXECUTORS)}")
    flags.add_argument("--lanes", type=int, default=0, help="worker processes; 0: one per core")
    flags.add_argument(
        "--lane_memory", default="0", help="bytes that a lane may use, such as 4G; auto: its share; 0: any"
    )
    flags.add_argument("--checkpoint_seconds", type=float, default=60.0, help="0: at every chunk; below 0: never")
    flags.add_argument("--keep_state", action="store_true", help="keep last states, for longer cells to go on from")
    processes.add_flags(flags)
    flags.add_argument("--retry", default="", help=f"run again what ended so: some of {','.join(RETRIED)}")


def problems(flags: argparse.Namespace) -> Iterator[str]:
    """What is wrong with those flags, a line each."""
    if flags.executor not in EXECUTORS:
        names = ", ".join(EXECUTORS)
        yield f"--executor = {flags.executor!r}: expected one of {names}{nearest(flags.executor, EXECUTORS)}"
    if flags.lanes < 0:
        yield f"--lanes = {flags.lanes}: expected 0 (one per core) or more"
    if flags.lane_memory != "auto" and not re.fullmatch(r"\d+[KMGT]?", flags.lane_memory):
        yield f"--lane_memory = {flags.lane_memory!r}: expected bytes, such as 500M or 4G, or auto, or 0 for any"
    if flags.checkpoint_seconds != flags.checkpoint_seconds:
        yield f"--checkpoint_seconds = {flags.checkpoint_seconds}: expected a number of seconds"
    yield from processes.problems(flags)
    for name in retried(flags):
        if name not in RETRIED:
            yield f"--retry = {name!r}: expected one or some of {', '.join(RETRIED)}{nearest(name, RETRIED)}"


def follow(plan: Plan, flags: argparse.Namespace) -> None:
    """Trains with the first process what is missing. Raises: UserError where they do not meet."""
    done = records.finished(flags.workdir, plan.cells) - again(flags, plan)
    if len(done) < len(plan.cells):
        importlib.import_module(EXECUTOR + flags.executor).follow(flags.workdir, settings(flags, plan))


def retried(flags: argparse.Namespace) -> list[str]:
    """The statuses whose cells are to be run again."""
    return [name.strip() for name in flags.retry.split(",")] if flags.retry else []


def settings(flags: argparse.Namespace, plan: Plan) -> Settings:
    """The flags, for an executor."""
    devices = planning.devices(plan.cells.values())
    return Settings(
        lanes=flags.lanes,
        lane_memory=memory(flags.lane_memory, flags.lanes or len(shares(devices))),
        checkpoint_seconds=flags.checkpoint_seconds,
        keep_state=flags.keep_state,
        devices=devices,
        coordinator=flags.coordinator,
        num_processes=flags.num_processes,
        process_id=flags.process_id,
    )


def memory(text: str, lanes: int) -> int:
    """Bytes for each lane: 4G, or its share of the memory that the machine, or the control group, has."""
    if text != "auto":
        return int(text.rstrip("KMGT")) * UNITS[text.lstrip("0123456789")]
    limit = Path("/sys/fs/cgroup/memory.max")
    limits = [psutil.virtual_memory().total]
    if limit.is_file() and limit.read_text().strip().isdecimal():
        limits.append(int(limit.read_text()))
    return int(SHARE * min(limits) / lanes)


def again(flags: argparse.Namespace, plan: Plan) -> set[str]:
    """The cells whose results are to be given up for another try."""
    statuses = retried(flags)
    found = records.finished(flags.workdir, plan.cells) if statuses else set()
    return {cell for cell in found if records.outcome(flags.workdir, cell)["status"] in statuses}


def run(plan: Plan, flags: argparse.Namespace, command: str, console: Console) -> launches.Watch:
    """Runs what is missing, beside other launchers of this workdir. Raises: OSError, UserError where it cannot."""
    with ended_by_signals(), closing(Leases(flags.workdir)) as leases:
        with leases.hold("sweep", lambda holder: say_waiting(console, holder)):
            leftovers.tidy(flags.workdir, leases)
            for cell in again(flags, plan):
                records.forget(flags.workdir, cell)
            done = records.finished(flags.workdir, plan.cells)
            prepare(plan, flags.workdir, command, done)
        with launches.timed(flags.workdir, command, plan, leases) as watch:
            train(plan, flags, done, console, watch, leases)
        return watch


def say_waiting(console: Console, holder: Holder) -> None:
    """One line for a launch that waits until another one has begun or ended."""
    console.print(f"waiting   for {holder}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A termination, or a terminal that closes, ends what is within as Ctrl-C does."""

    def interrupt(signum: int, _) -> NoReturn:
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def prepare(plan: Plan, workdir: str, command: str, done: set[str]) -> None:
    """Writes the config of every cell that has none that is whole, and sweep.json unless it says the same already.

    Where nothing is left to run, the results keep the provenance that they have.
    """
    for cell, config in plan.cells.items():
        try:
            records.read_config(workdir, cell)
        except records.RecordError:
            records.write_cell_config(workdir, cell, to_dict(config))
    path = Path(workdir) / "sweep.json"
    before = records.read_json(path) if path.is_file() else {}
    kept = before.get("provenance") if len(done) == len(plan.cells) else None
    manifest = records.plain(planning.manifest(plan, command, kept or provenance.collect()))
    if any(before.get(name) != manifest[name] for name in SAME_QUESTION):
        records.write_json(path, manifest)


def train(
    plan: Plan, flags: argparse.Namespace, done: set[str], console: Console, watch: launches.Watch, leases: Leases
) -> None:
    """Runs what is missing, until it is done or the launch is interrupted."""
    missing = {name: [cell for cell in cells if cell not in done] for name, cells in plan.programs.items()}
    missing = {name: cells for name, cells in missing.items() if cells}
    if not missing:
        return
    executor = importlib.import_module(EXECUTOR + flags.executor)
    events = executor.run(flags.workdir, missing, settings(flags, plan), leases)
    try:
        for event in progress.follow(plan, [cell for cells in missing.values() for cell in cells], events, console):
            watch.note(event)
    except KeyboardInterrupt as interruption:
        watch.signal = getattr(interruption, "signum", signal.SIGINT)
    finally:
        events.close()
