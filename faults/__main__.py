"""Injects faults and says what they cost: python -m faults [--share=0.1] [--only=NAME] [--seed=N] [--jobs=N] [--to=DIR]

Every row does to a small sweep what its name says, at random moments, runs the same command to its end and compares
with a run that nothing disturbed: to the bit, but for times. Exit status 0 when nothing was lost, changed or wrong.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments import provenance
from faults.arena import Arena
from faults.fault import Fault, Tally
from faults.rows import ROWS

HEADS = ("fault", "tries", "cells lost", "results changed", "otherwise wrong", "seconds")


def main(argv: Sequence[str]) -> int:
    """Runs the rows, prints the table, writes it to --to. Returns the exit status."""
    flags = parser().parse_args(argv)
    seed = random.SystemRandom().randrange(2**32) if flags.seed is None else flags.seed
    chosen = [fault.times(flags.share) for fault in ROWS if flags.only.lower() in fault.name.lower()]
    console, begun = Console(), time.monotonic()
    console.print(f"seed {seed}; {sum(fault.tries for fault in chosen)} tries")
    with tempfile.TemporaryDirectory(prefix="faults ") as folder:
        arena = Arena.open(Path(folder))
        rows = [(fault, *timed(fault, arena, seed, flags.jobs, console)) for fault in chosen]
    command = " ".join(["python -m faults", *argv])
    about = f"{command}: seed {seed}, {time.monotonic() - begun:.0f} s on {flags.jobs} cores"
    console.print(table(rows, about))
    for fault, tally, _ in rows:
        for line in tally.wrong:
            console.print(f"{fault.name}: {line}", markup=False, soft_wrap=True)
    if flags.to:
        write(Path(flags.to), rows, about)
    return 0 if all(tally.clean() and tally.tries >= fault.tries for fault, tally, _ in rows) else 1


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


def cells(rows: Iterable[tuple[Fault, Tally, float]]) -> list[tuple]:
    """The rows of the table, as HEADS names them."""
    return [(f.name, t.tries, t.lost, t.changed, len(t.wrong), round(seconds)) for f, t, seconds in rows]


def table(rows: Iterable[tuple[Fault, Tally, float]], about: str) -> Table:
    """The table for a terminal."""
    drawn = Table(caption=about)
    for head in HEADS:
        drawn.add_column(head, justify="left" if head == "fault" else "right")
    for row in cells(rows):
        drawn.add_row(*map(str, row), style="" if not any(row[2:5]) else "bold red")
    return drawn


def write(folder: Path, rows: list[tuple[Fault, Tally, float]], about: str) -> None:
    """The table as Markdown and as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEADS, ["---", *["---:"] * (len(HEADS) - 1)], *cells(rows)]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    (folder / "faults.md").write_text(f"{text}\n\n`{about}`\n")
    said = {
        "command": about,
        "git": provenance.git(),
        "cpu": provenance.cpu(),
        "python": platform.python_version(),
        "rows": [
            dict(zip(HEADS, row, strict=True)) | {"wrong": t.wrong}
            for row, (_, t, _) in zip(cells(rows), rows, strict=True)
        ],
    }
    (folder / "faults.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
