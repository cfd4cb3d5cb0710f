"""Injects faults and says what they cost: python -m faults [--share=0.1] [--only=NAME] [--seed=N] [--jobs=N] [--to=DIR]

Every row does to a small sweep what its name says, at random moments, runs the same command to its end and compares
with a run that nothing disturbed: to the bit, but for times. Exit status 0 when nothing was lost, changed or wrong.
"""

import argparse
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from faults import report
from faults.arena import Arena
from faults.fault import Fault, Tally
from faults.rows import ROWS


def main(argv: Sequence[str]) -> int:
    """Runs the rows, prints the table, writes it to --to. Returns the exit status."""
    flags = parser().parse_args(argv)
    seed = random.SystemRandom().randrange(2**32) if flags.seed is None else flags.seed
    chosen = [fault.times(flags.share) for fault in ROWS if flags.only.lower() in fault.name.lower()]
    console, begun = Console(), time.monotonic()
    console.print(f"seed {seed}; {sum(fault.tries for fault in chosen)} tries")
    command = shlex.join(["python", "-m", "faults", *argv, *([] if flags.seed is not None else [f"--seed={seed}"])])
    with tempfile.TemporaryDirectory(prefix="faults ") as folder:
        arena = Arena.open(Path(folder))
        rows = [report.row(fault, *timed(fault, arena, seed, flags.jobs, console), command) for fault in chosen]
    console.print(report.table(rows, f"{command}: {time.monotonic() - begun:.0f} s, {flags.jobs} sweeps at once"))
    for row in rows:
        for line in row["wrong"]:
            console.print(f"{row['fault']}: {line}", markup=False, soft_wrap=True)
    if flags.to:
        report.write(Path(flags.to), rows, [fault.name for fault in ROWS])
    return 0 if all(whole(row, fault) for row, fault in zip(rows, chosen, strict=True)) else 1


def whole(row: dict, fault: Fault) -> bool:
    """Whether every try was made and cost nothing."""
    return row["tries"] >= fault.tries and not any(row[head] for head in report.BAD)


def parser() -> argparse.ArgumentParser:
    """The flags of the command."""
    flags = argparse.ArgumentParser("python -m faults", description=__doc__)
    flags.add_argument("--share", type=float, default=1.0, help="of the tries of each row")
    flags.add_argument("--only", default="", help="rows whose name has this in it")
    flags.add_argument("--seed", type=int, help="of the random moments; default: a new one, which is printed")
    flags.add_argument("--jobs", type=int, default=2, help="sweeps at once")
    flags.add_argument("--to", help="a folder that gets faults.md and faults.json")
    return flags


def timed(fault: Fault, arena: Arena, seed: int, jobs: int, console: Console) -> tuple[Tally, float]:
    """All tries of a fault, `jobs` at once, and the seconds that they took."""
    begun, total = time.monotonic(), Tally()
    parts = [len(range(job, fault.tries, jobs)) for job in range(jobs)]
    with ThreadPoolExecutor(jobs) as pool:
        for tally in pool.map(lambda job: attempt(fault, arena, f"{seed} {fault.name} {job}", parts[job]), range(jobs)):
            total.add(tally)
    console.print(f"{fault.name}: {total.tries} tries, {time.monotonic() - begun:.0f} s", markup=False)
    return total, time.monotonic() - begun


def attempt(fault: Fault, arena: Arena, seed: str, tries: int) -> Tally:
    """Some tries of a fault; what breaks the trial itself is wrong too."""
    try:
        return fault.inject(arena, random.Random(seed), tries) if tries else Tally()
    except Exception as error:
        return Tally(wrong=[f"the trial broke: {type(error).__name__}: {error}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
