"""Takes what nobody runs of a sweep that was prepared: python -m experiments.work --workdir=DIR

Started any number of times, on any machines that see the folder: the tasks of a job array, or ssh. The sweep file is
not needed; `experiments.launch --prepare_only` wrote all that it says. Each takes programs that no other has, waits for
those that another runs, and takes them over should that one die; all end when every cell has a result.

Exit status: as of experiments.launch.
"""

import shlex
from collections.abc import Sequence

from experiments import ending, plan, processes, records, run_flags, running
from experiments.command import Parser, run
from experiments.screen import Screen
from flax_tx.errors import UserError


def parser() -> Parser:
    """The flags of the command."""
    flags = Parser("experiments.work", __doc__)
    run_flags.add_flags(flags)
    return flags


def main(argv: Sequence[str]) -> int:
    """Runs what is missing. Returns the exit status."""
    flags = parser().parse_args(argv)
    if problems := [*run_flags.problems(flags)]:
        raise UserError(problems)
    console, sweep = Screen(highlight=False), plan.recorded(flags.workdir)
    if wrong := [*run_flags.mesh_problems(flags, sweep)]:
        raise UserError(wrong)
    if processes.follows(flags):
        running.follow(sweep, flags)
        return 0
    running.join(flags)
    watch = running.run(sweep, flags, shlex.join(["python", "-m", "experiments.work", *argv]), console)
    if watch.signal:
        return ending.interrupted(sweep, flags.workdir, watch, console)
    ends = [records.outcome(flags.workdir, cell)["status"] for cell in sweep.cells]
    return ending.report_bad(ends, flags.workdir, console)


if __name__ == "__main__":
    run(main)
