"""The running of a plan: what it writes before, what is run again, and how it ends when interrupted."""

import argparse
import contextlib
import functools
import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from experiments import launches, leftovers, progress, provenance, records, remote, run_flags
from experiments import plan as planning
from experiments.command import Interrupted
from experiments.executors import cluster
from experiments.leases import Holder, Leases
from experiments.plan import Plan
from flax_tx.config import to_dict

EXECUTOR = "experiments.executors."
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
SAME_QUESTION = ("size", "cells", "programs", "axes", "tables", "claims", "figure", "data", "question")


def join(flags: argparse.Namespace) -> None:
    """Joins the cluster that the flags name, if they do: what is wrong with it is known before anything is written.

    Raises: UserError, one line.
    """
    if flags.executor == "ray":
        cluster.join(flags.ray_address)


def follow(plan: Plan, flags: argparse.Namespace) -> None:
    """Trains with the first process what is missing. Raises: UserError where they do not meet."""
    done = records.finished(flags.workdir, plan.cells)
    if len(done) < len(plan.cells):
        importlib.import_module(EXECUTOR + flags.executor).follow(flags.workdir, run_flags.settings(flags, plan))


def again(flags: argparse.Namespace, plan: Plan) -> set[str]:
    """The cells whose results are to be given up for another try."""
    statuses = run_flags.retried(flags)
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
    executor = importlib.import_module(EXECUTOR + flags.executor)
    events = executor.run(flags.workdir, missing, run_flags.settings(flags, plan), leases)
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
