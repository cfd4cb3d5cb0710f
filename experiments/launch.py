"""Launches a sweep: python -m experiments.launch --config=sweeps/X.py --workdir=DIR [--size=NAME]
[--config.FIELD=VALUE ...]

A sweep file may come in several sizes (SIZES, usually smoke, quick and full); --size chooses one, else quick is taken
where it exists, else the first. Sizes share a workdir: what they have in common is run once.

Every cell is resolved and checked and the plan is printed before anything runs; --dry_run stops there, --prepare_only
when all is written that experiments.work needs. Cells that have a result are not run again, so the same command
continues a sweep; changed claims, tables or figures are taken over without any run. --retry=failed runs those again
that failed. Several launchers may share a workdir, each takes programs that no other has. With --executor=ray the lanes
are on the nodes of a cluster; with --executor=distributed the same command, started once on each of several machines,
trains cells that are too big for one. What a launch took lies in launches/, what its lanes printed in logs/.

Exit status: 0 every cell has a result, 1 some failed, 2 a mistake in what was asked or nothing can be written, 129,
130, 143 interrupted by a closed terminal, Ctrl-C, a termination.
"""

import argparse
import shlex
import tempfile
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from rich.table import Table

from experiments import ending, growth, processes, records, run_flags, running, sweep_file
from experiments import plan as planning
from experiments.command import Parser, run
from experiments.executors import devices
from experiments.labels import count, say, short_names
from experiments.plan import Plan
from experiments.screen import Screen, shown
from experiments.table import print_table
from flax_tx.errors import UserError
from flax_tx.memory import state_bytes

NOMINAL = 3e10  # FLOP/s of a lane and
COMPILING = 8.0  # seconds per program, before this machine has shown its own


def parser() -> Parser:
    """The flags of the command."""
    flags = Parser("experiments.launch", __doc__)
    flags.add_argument("--config", required=True, help="a sweep file; --config.FIELD=VALUE changes a field of it")
    flags.add_argument("--size", help="one of the file's SIZES; default: quick, else the first")
    flags.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    flags.add_argument("--prepare_only", action="store_true", help="write what experiments.work runs, and stop")
    run_flags.add_flags(flags)
    run_flags.add_retry(flags)
    return flags


def main(argv: Sequence[str]) -> int:
    """Plans, runs and tabulates. Returns the exit status."""
    console = Screen(highlight=False)
    flags, rest = parser().parse_known_args(argv)
    plan = checked_plan(flags, rest)
    done = records.finished(flags.workdir, plan.cells) - running.again(flags, plan)
    if processes.follows(flags):
        running.follow(plan, flags)
        return 0
    ends = {cell: records.outcome(flags.workdir, cell) for cell in plan.cells if cell in done}
    console.print(describe(plan, flags, ends))
    if flags.dry_run:
        return 0
    command = shlex.join(["python", "-m", "experiments.launch", *argv])
    running.begin(plan, flags, command, console)
    if flags.prepare_only:
        return 0
    watch = running.run(plan, flags, command, console)
    if watch.signal:
        return ending.interrupted(plan, flags.workdir, watch, console)
    loaded = records.load(flags.workdir, ends=ends if len(ends) == len(plan.cells) else None)
    print_table(flags.workdir, console, loaded=loaded)
    return ending.report_bad(loaded.status, flags.workdir, console)


def checked_plan(flags: argparse.Namespace, rest: list[str]) -> Plan:
    """The plan. Raises: UserError with all that is wrong with flags, sweep file, cells, data and workdir."""
    problems = [*run_flags.problems(flags), *run_flags.retry_problems(flags)]
    plan, known = None, [f"--{name}" for name in vars(flags)]
    for step in (
        lambda: check_workdir(flags.workdir),
        lambda: planning.make(sweep_file.read(flags.config, flags.size), sweep_file.parse(rest, known)),
    ):
        try:
            plan = step()
        except UserError as error:
            problems += error.problems
    if plan and not problems:
        problems += run_flags.mesh_problems(flags, plan)
    if plan and not problems and (Path(flags.workdir) / "sweep.json").is_file():
        problems += conflicts(plan, flags.workdir)
    if problems:
        raise UserError(problems)
    running.join(flags)
    return plan


def check_workdir(workdir: str) -> None:
    """Raises UserError when the folder cannot be written to, or leads elsewhere; leaves nothing behind."""
    folder = Path(workdir).absolute()
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            inside = [*Path(workdir).glob("*"), *Path(workdir).glob("cells/*")]
    except OSError as error:
        reason = "not a folder" if isinstance(error, NotADirectoryError) else error.strerror
        raise UserError(f"--workdir = {workdir!r}: cannot write in {folder} ({reason})") from None
    if links := [path for path in inside if path.is_symlink()]:
        raise UserError(f"--workdir = {workdir!r}: {path} is a link; expected what it leads to" for path in links)


def conflicts(plan: Plan, workdir: str) -> list[str]:
    """Why results of this plan cannot stand beside those that the workdir holds."""
    before = records.sweep(workdir)
    if before["name"] != plan.file.name:
        return [f"--workdir = {workdir!r}: holds the sweep {before['name']!r}; expected another folder"]
    return planning.changed_data(plan, workdir, before)


def describe(plan: Plan, flags: argparse.Namespace, done: dict[str, dict]) -> Table:
    """The plan as a table: question, axes, cells, programs, cost. `done`: how each cell ended that has a result."""
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
        *(("note", note) for note in devices.notes(flags.device)),
        *(("note", note) for note in growth.notes(plan, flags.workdir, [c for c in plan.cells if c not in done])),
        *(
            ("damaged", f"{end['reason']}; until then it is left as it is")
            for end in done.values()
            if end["status"] == records.DAMAGED
        ),
        ("data", "; ".join(f"{name}: {about.source}" for name, about in planning.described(plan))),
        ("cells", f"{len(plan.cells)}, of which {len(done)} have a result, in {len(plan.programs)} programs"),
        *(("claims", ", ".join(claim.id for claim in claims)) for claims in filter(None, [plan.file.claims])),
        *costs(plan, flags, done),
    ):
        grid.add_row(head, shown(text))
    return grid


def costs(plan: Plan, flags: argparse.Namespace, done: Container[str]) -> Iterator[tuple[str, str]]:
    """Parameters, memory, FLOPs and the time that is left, from the speed of finished cells where there are any."""
    sizes = {cells[0]: plan.params(cells[0]) for cells in plan.programs.values()}  # one program, one cost
    low, high = min(sizes.values()), max(sizes.values())
    largest = max(state_bytes(size, plan.cells[cell].optim.name) for cell, size in sizes.items())
    yield "model", f"{count(low)} to {count(high)} parameters; at most {count(largest)}B of training state in a cell"
    yield from meshes(plan)
    left = [missing for cells in plan.programs.values() if (missing := [cell for cell in cells if cell not in done])]
    if not left:
        return
    work = sum(len(cells) * plan.flops(cells[0]) for cells in left)
    lanes = min(run_flags.lanes(flags, plan), len(left))
    seconds = (work / NOMINAL + len(left) * COMPILING) / lanes
    named = "1 lane" if lanes == 1 else f"{lanes} lanes"
    yield "work", f"{count(work)}FLOP to do on {named}; about {max(1, round(seconds / 60))} min"


def meshes(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each mesh of more than one device, and what a device holds of the largest cell on it."""
    for mesh in dict.fromkeys(config.mesh for config in plan.cells.values() if config.mesh.size() > 1):
        cells = {cell: config for cell, config in plan.cells.items() if config.mesh == mesh}
        held = max(state_bytes(plan.held(cell), config.optim.name) for cell, config in cells.items())
        axes = " * ".join(f"{name} {devices}" for name, devices in vars(mesh).items())
        yield (
            "mesh",
            f"{axes}: {mesh.size()} devices for a cell, each with at most {count(held)}B of its training state",
        )


if __name__ == "__main__":
    run(main)
