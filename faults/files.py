"""Disks that fill up, files that are not what was written, and input that nobody meant."""

import contextlib
import logging
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments import records
from faults.arena import PATIENCE, ROOT, Arena, kept
from faults.fault import Fault, Tally
from faults.harm import Sound
from faults.kills import judge

LARGE, SMALL = 16_384, 12  # KiB: room for everything, and for hardly anything
NEEDED = 700  # KiB, with checkpoints


def full_disk(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """A sweep on a disk with room for some of its files: a small tmpfs where this may mount one, else by injection."""
    total = Tally()
    for _ in range(tries):
        disk = arena.fresh()
        with small_disk(disk, rng.randint(SMALL, NEEDED)) as mounted:
            workdir = disk / "run"
            faults = {} if mounted else {"FAULT_FULL": str(rng.uniform(0.05, 0.5))}
            process = arena.launch(workdir, **faults)
            _, errors = process.communicate(timeout=PATIENCE)
            wrong = unexplained(process.returncode, errors)
            if mounted:
                resize(disk, LARGE)
            total.add(judge(arena, workdir, kept(workdir, arena.cells), 1, wrong))
    return total


def unexplained(status: int, errors: str) -> list[str]:
    """What is wrong with how a launcher ended on a full disk: it says so in one line, with status 1, or was done."""
    if status == 0 and not errors:
        return []
    right = status == 1 and "No space left on device" in errors and len(errors.splitlines()) == 1
    return [] if right else [f"exit status {status}: {errors[-300:]}"]


@contextlib.contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[bool]:
    """A disk of that size at a folder. Gives whether there is one: mounting needs privileges."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    mounted = bool(shutil.which("mount")) and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, kibibytes: int) -> None:
    """Makes room."""
    subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", str(folder)], check=True)


def harm(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Flips bits of files of a finished sweep, truncates, blanks and removes them, and asks every reader.

    At the end half of the cells are harmed at once, and trained again by --retry=damaged.
    """
    workdir = arena.fresh()
    logging.getLogger(records.__name__).setLevel(logging.ERROR)  # it names every damaged file
    shutil.copytree(arena.reference, workdir)
    sound = Sound(workdir)
    total = Tally(tries=tries, wrong=[wrong for wrong in (sound.try_one(rng) for _ in range(tries)) if wrong])
    sound.spoil(rng, arena.cells[::2])
    before = kept(workdir, arena.cells[1::2])
    total.add(judge(arena, workdir, before, 0, [], "--retry=damaged"))
    return total


def bad_input(arena: Arena, rng: random.Random, tries: int) -> Tally:
    """Command lines, configs, sweep files and records that nobody meant, in a process of their own."""
    command = [sys.executable, "-m", "faults.fuzz", str(tries), str(rng.randrange(2**32))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    broken = [f"the trial broke: {done.stderr[-500:]}"] if done.returncode else []
    return Tally(tries=tries, wrong=done.stdout.splitlines() + broken)


FILES = (
    Fault("disk full while a sweep runs", 20, full_disk),
    Fault("bits flipped, files cut, blanked or gone", 200, harm),
    Fault("bad command lines, configs, sweep files, records", 2000, bad_input),
)
