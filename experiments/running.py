"""The running of a plan: how the flags of a launch say it, what is run again, and how it ends when interrupted."""

import argparse
import contextlib
import functools
import importlib
import math
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import psutil
from rich.console import Console

from experiments import launches, leftovers, progress, provenance, records, remote
from experiments import plan as planning
from experiments.command import Interrupted
from experiments.executors import cluster
from experiments.executors.local import cores
from experiments.leases import Holder, Leases
from experiments.plan import Plan
from experiments.settings import Settings
from flax_tx.config import to_dict
from flax_tx.errors import nearest

EXECUTORS = ("local", "inline", "ray")
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
    flags.add_argument("--ray_address", help="of a Ray cluster: auto, HOST:PORT, or local for one of its own")
    flags.add_argument("--task_cpus", type=float, default=1.0, help="CPUs of a node that a lane of Ray takes")
    flags.add_argument("--task_gpus", type=float, help="GPUs of it; default: one where there are any")


def add_retry(flags: argparse.ArgumentParser) -> None:
    """The flag of a command that may give results up."""
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
    yield from cluster_problems(flags)


def retry_problems(flags: argparse.Namespace) -> Iterator[str]:
    """The same of --retry."""
    for name in retried(flags):
        if name not in RETRIED:
            yield f"--retry = {name!r}: expected one or some of {', '.join(RETRIED)}{nearest(name, RETRIED)}"


def cluster_problems(flags: argparse.Namespace) -> Iterator[str]:
    """The same of the flags about Ray."""
    if not 0 < flags.task_cpus < math.inf:
        yield f"--task_cpus = {flags.task_cpus}: expected more than 0"
    if flags.task_gpus is not None and not 0 <= flags.task_gpus < math.inf:
        yield f"--task_gpus = {flags.task_gpus}: expected 0 or more"
    if flags.executor != "ray" and flags.ray_address:
        yield f"--ray_address = {flags.ray_address!r}: expected none with --executor={flags.executor}"
    if flags.executor == "ray" and flags.lane_memory == "auto":
        yield "--lane_memory = 'auto': expected bytes with --executor=ray, since its nodes differ"
    if flags.executor == "ray":
        yield from cluster.problems(flags.ray_address or "")


def join(flags: argparse.Namespace) -> None:
    """Joins the cluster that the flags name, if they do: what is wrong with it is known before anything is written.

    Raises: UserError, one line.
    """
    if flags.executor == "ray":
        cluster.join(flags.ray_address)


def retried(flags: argparse.Namespace) -> list[str]:
    """The statuses whose cells are to be run again."""
    return [name.strip() for name in flags.retry.split(",")] if flags.retry else []


def settings(flags: argparse.Namespace) -> Settings:
    """The flags, for an executor."""
    return Settings(
        flags.lanes,
        memory(flags.lane_memory, flags.lanes or len(cores())),
        flags.checkpoint_seconds,
        flags.keep_state,
        flags.ray_address or "",
        flags.task_cpus,
        flags.task_gpus,
    )


def lanes(flags: argparse.Namespace) -> int:
    """How many lanes a launch with these flags has, where it has programs enough."""
    if flags.executor == "inline":
        return 1
    return flags.lanes or (cluster.room({"CPU": flags.task_cpus}) if flags.executor == "ray" else len(cores())) or 1


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


def begin(plan: Plan, flags: argparse.Namespace, command: str, console: Console) -> None:
    """Writes what the runs read, and gives up what is to be run again. Raises: OSError, UserError where it cannot."""
    say = functools.partial(say_waiting, console)
    with ended_by_signals(), closing(Leases(flags.workdir)) as leases, leases.hold("sweep", say):
        leftovers.tidy(flags.workdir, leases)
        for cell in again(flags, plan):
            records.forget(flags.workdir, cell)
        prepare(plan, flags.workdir, command, records.finished(flags.workdir, plan.cells))
    remote.push(flags.workdir)


def run(plan: Plan, flags: argparse.Namespace, command: str, console: Console) -> launches.Watch:
    """Runs what is missing, beside other launchers of this workdir. Raises: OSError, UserError where it cannot."""
    with (
        ended_by_signals(),
        closing(Leases(flags.workdir)) as leases,
        launches.timed(flags.workdir, command, plan, leases) as watch,
    ):
        train(plan, flags, records.finished(flags.workdir, plan.cells), console, watch, leases)
    remote.push(flags.workdir)
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
    executor = importlib.import_module(f"experiments.executors.{flags.executor}")
    events = executor.run(flags.workdir, missing, settings(flags), leases)
    try:
        for event in progress.follow(plan, [cell for cells in missing.values() for cell in cells], events, console):
            watch.note(event)
            if event["event"] == "cell":
                with contextlib.suppress(records.RecordError):  # the last push tries again
                    remote.push(flags.workdir, [event["cell"]])
    except KeyboardInterrupt as interruption:
        watch.signal = getattr(interruption, "signum", signal.SIGINT)
    finally:
        events.close()
