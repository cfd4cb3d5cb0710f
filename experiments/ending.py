"""How a command that runs programs ends: its last line, and its exit status."""

import shlex
from collections import Counter
from collections.abc import Iterable

from rich.console import Console

from experiments import records
from experiments.launches import Watch
from experiments.plan import Plan


def interrupted(plan: Plan, workdir: str, watch: Watch, console: Console) -> int:
    """A line for what is left after a signal. Returns the exit status that says which one it was."""
    left = len(plan.cells) - len(records.finished(workdir, plan.cells))
    console.print(f"interrupted: {left} of {len(plan.cells)} cells left; the same command continues", style="yellow")
    return 128 + watch.signal


def report_bad(statuses: Iterable[str], workdir: str, console: Console) -> int:
    """A line for the cells without a result that can be used. Returns 1 when there are any."""
    ends = Counter(statuses)
    bad = {status: ends[status] for status in ("failed", records.DAMAGED, records.MISSING) if ends[status]}
    if bad:
        said = ", ".join(f"{number} {status}" for status, number in bad.items())
        command = f"python -m experiments.status --workdir={shlex.quote(workdir)}"
        console.print(f"cells: {said}; {command}", style="red", markup=False, highlight=False, soft_wrap=True)
    return 1 if bad else 0
