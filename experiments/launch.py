"""Launches a sweep: python -m experiments.launch --config=sweeps/X.py --workdir=DIR [--size=NAME]
[--config.FIELD=VALUE ...]

A sweep file may come in several sizes (SIZES, usually smoke, quick and full); --size chooses one, else quick is taken
where it exists, else the first. Sizes share a workdir: what they have in common is run once.

Every cell is resolved and checked and the plan is printed before anything runs; --dry_run stops there. Cells that
have a result are not run again, so the same command continues a sweep; changed claims, tables or figures are taken
over without any run. What a launch took lies in launches/. Exit status: 0 every cell has a result, 1 some
failed, 2 a mistake in what was asked, 130 interrupted.
"""

import argparse
import importlib
import os
import shlex
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock
from rich.console import Console
from rich.table import Table

from experiments import launches, progress, provenance, records, sweep_file
from experiments import plan as planning
from experiments.command import Parser, run
from experiments.labels import count, say, short_names
from experiments.plan import Plan
from experiments.screen import Screen, shown
from experiments.table import print_table
from flax_tx.config import to_dict
from flax_tx.cost import state_bytes
from flax_tx.errors import UserError, nearest

EXECUTORS = ("local", "inline")
FLAGS = ("--config", "--workdir", "--size", "--dry_run", "--executor", "--lanes")
NOMINAL = 3e10  # FLOP/s of a lane and
COMPILING = 8.0  # seconds per program, before this machine has shown its own
SAME_QUESTION = ("size", "cells", "programs", "axes", "tables", "claims", "figure", "data", "question")


def parser() -> Parser:
    """The flags of the command."""
    flags = Parser("experiments.launch", __doc__)
    flags.add_argument("--config", required=True, help="a sweep file; --config.FIELD=VALUE changes a field of it")
    flags.add_argument("--size", help="one of the file's SIZES; default: quick, else the first")
    flags.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    flags.add_argument("--executor", default="local", help=f"one of {', '.join(EXECUTORS)}")
    flags.add_argument("--lanes", type=int, default=0, help="worker processes; 0: one per core")
    return flags


def main(argv: Sequence[str]) -> int:
    """Plans, runs and tabulates. Returns the exit status."""
    console = Screen(highlight=False)
    flags, rest = parser().parse_known_args(argv)
    plan = checked_plan(flags, rest)
    done = records.finished(flags.workdir, plan.cells)
    console.print(describe(plan, flags, done))
    if flags.dry_run:
        return 0
    command = shlex.join(["python", "-m", "experiments.launch", *argv])
    with held(flags.workdir):
        prepare(plan, flags.workdir, command, done)
        with launches.timed(flags.workdir, command, plan) as watch:
            finished = train(plan, flags, done, console, watch)
    if not finished:
        left = len(plan.cells) - len(records.finished(flags.workdir, plan.cells))
        console.print(
            f"interrupted: {left} of {len(plan.cells)} cells left; the same command continues", style="yellow"
        )
        return 130
    print_table(flags.workdir, console)
    failed = sum((records.status_of(flags.workdir, cell) or {}).get("status") == "failed" for cell in plan.cells)
    if failed:
        command = f"python -m experiments.status --workdir={shlex.quote(flags.workdir)}"
        console.print(f"{failed} cells failed: {command}", style="red", markup=False, highlight=False)
    return 1 if failed else 0


def checked_plan(flags: argparse.Namespace, rest: list[str]) -> Plan:
    """The plan. Raises: UserError with all that is wrong with flags, sweep file, cells, data and workdir."""
    problems: list[str] = []
    if flags.executor not in EXECUTORS:
        names = ", ".join(EXECUTORS)
        problems.append(f"--executor = {flags.executor!r}: expected one of {names}{nearest(flags.executor, EXECUTORS)}")
    if flags.lanes < 0:
        problems.append(f"--lanes = {flags.lanes}: expected 0 (one per core) or more")
    plan = None
    for step in (
        lambda: check_workdir(flags.workdir),
        lambda: planning.make(sweep_file.read(flags.config, flags.size), sweep_file.parse(rest, FLAGS)),
    ):
        try:
            plan = step()
        except UserError as error:
            problems += error.problems
    if plan and not problems and (Path(flags.workdir) / "sweep.json").is_file():
        problems += conflicts(plan, flags.workdir)
    if problems:
        raise UserError(problems)
    return plan


def check_workdir(workdir: str) -> None:
    """Raises UserError when the folder cannot be written to; leaves nothing behind."""
    folder = Path(workdir).absolute()
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        reason = "not a folder" if not folder.is_dir() else error.strerror
        raise UserError(f"--workdir = {workdir!r}: cannot write in {folder} ({reason})") from None


def conflicts(plan: Plan, workdir: str) -> list[str]:
    """Why results of this plan cannot stand beside those that the workdir holds."""
    before = records.sweep(workdir)
    if before["name"] != plan.file.name:
        return [f"--workdir = {workdir!r}: holds the sweep {before['name']!r}; expected another folder"]
    return planning.changed_data(plan, workdir, before)


@contextmanager
def held(workdir: str) -> Iterator[None]:
    """Keeps a second launcher out of the workdir. Raises: UserError that says who holds it."""
    Path(workdir).mkdir(parents=True, exist_ok=True)
    lock, holder = filelock.FileLock(Path(workdir) / ".lock"), Path(workdir) / ".holder"
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        who = holder.read_text() if holder.is_file() else "another launcher"
        raise UserError(f"--workdir = {workdir!r}: held by {who}; wait for it or take another folder") from None
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def prepare(plan: Plan, workdir: str, command: str, done: set[str]) -> None:
    """Writes the config of every cell that has none, and sweep.json unless it says the same already.

    Where nothing is left to run, the results keep the provenance that they have.
    """
    for cell, config in plan.cells.items():
        if not (records.cell_dir(workdir, cell) / "config.json").is_file():
            records.write_cell_config(workdir, cell, to_dict(config))
    path = Path(workdir) / "sweep.json"
    before = records.read_json(path) if path.is_file() else {}
    kept = before.get("provenance") if len(done) == len(plan.cells) else None
    manifest = records.plain(planning.manifest(plan, command, kept or provenance.collect()))
    if any(before.get(name) != manifest[name] for name in SAME_QUESTION):
        records.write_json(path, manifest)


def train(plan: Plan, flags: argparse.Namespace, done: set[str], console: Console, watch: launches.Watch) -> bool:
    """Runs what is missing. False when interrupted."""
    missing = {name: [cell for cell in cells if cell not in done] for name, cells in plan.programs.items()}
    missing = {name: cells for name, cells in missing.items() if cells}
    if not missing:
        return True
    executor = importlib.import_module(f"experiments.executors.{flags.executor}")
    events = executor.run(flags.workdir, missing, flags.lanes)
    try:
        for event in progress.follow(plan, [cell for cells in missing.values() for cell in cells], events, console):
            watch.note(event)
    except KeyboardInterrupt:
        watch.interrupted = True
    finally:
        events.close()
    return not watch.interrupted


def describe(plan: Plan, flags: argparse.Namespace, done: set[str]) -> Table:
    """The plan as a table: question, axes, cells, programs, cost."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    question = next((line for line in plan.file.question.splitlines() if line.strip()), "")
    names = short_names(plan.axes)
    axes = [f"{names[name]}: {', '.join(map(say, values))}" for name, values in plan.axes.items()]
    for head, text in (
        ("sweep", f"{plan.file.path}: {question}"),
        *(("size", f"{size} (of {', '.join(plan.file.sizes)})") for size in filter(None, [plan.file.size])),
        *(("axis" if len(plan.axes[name]) > 1 else "fixed", text) for name, text in zip(plan.axes, axes, strict=True)),
        *(("note", note) for note in plan.notes),
        ("data", "; ".join(f"{name}: {about.source}" for name, about in planning.described(plan))),
        ("cells", f"{len(plan.cells)}, of which {len(done)} have a result, in {len(plan.programs)} programs"),
        *(("claims", ", ".join(claim.id for claim in claims)) for claims in filter(None, [plan.file.claims])),
        *costs(plan, flags, done),
    ):
        grid.add_row(head, shown(text))
    return grid


def costs(plan: Plan, flags: argparse.Namespace, done: set[str]) -> Iterator[tuple[str, str]]:
    """Parameters, memory, FLOPs and the time that is left, from the speed of finished cells where there are any."""
    sizes = {cell: plan.params(cell) for cell in plan.cells}
    low, high = min(sizes.values()), max(sizes.values())
    largest = max(state_bytes(sizes[cell], config.optim.name) for cell, config in plan.cells.items())
    yield "model", f"{count(low)} to {count(high)} parameters; at most {count(largest)}B of training state in a cell"
    left = [cell for cell in plan.cells if cell not in done]
    if not left:
        return
    work = sum(plan.flops(cell) for cell in left)
    programs = sum(any(cell not in done for cell in cells) for cells in plan.programs.values())
    lanes = 1 if flags.executor == "inline" else flags.lanes or os.cpu_count() or 1
    seconds = (work / NOMINAL + programs * COMPILING) / min(lanes, programs)
    yield "work", f"{count(work)}FLOP to do on {min(lanes, programs)} lanes; about {max(1, round(seconds / 60))} min"


if __name__ == "__main__":
    run(main)
