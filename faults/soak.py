"""Sweeps for as long as is asked, with random kills: python -m faults.soak [--minutes=60] [--seed=N] [--to=DIR]

One launcher trains cell after cell on two lanes, of which the second is killed every minute or so and the first never;
beside it small sweeps are interrupted and continued as in `python -m faults`. Memory, open files and threads of the
launcher and the lanes are written down every few seconds. Exit status 0 when no memory grew, nothing was lost or
changed, and no process and no file was left behind.
"""

import argparse
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from experiments import check, provenance, records
from faults.arena import PATIENCE, SWEEP, Arena, lanes
from faults.fault import Tally
from faults.kills import end_launchers, kill_lanes

EVERY = 5.0  # seconds between two samples
WARM = 120.0  # seconds until memory is what it will be
FLAT = 1.0  # MB a minute that count as none
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str]) -> int:
    """Soaks, prints what was seen, writes it to --to. Returns the exit status."""
    flags = argparse.ArgumentParser("python -m faults.soak", description=__doc__)
    flags.add_argument("--minutes", type=float, default=60.0)
    flags.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    flags.add_argument("--to", help="a folder that gets soak.md and soak.json")
    flags = flags.parse_args(argv)
    rng, until = random.Random(flags.seed), time.monotonic() + 60 * flags.minutes
    with tempfile.TemporaryDirectory(prefix="soak ") as folder:
        arena = Arena.open(Path(folder))
        long = Long(arena, until, rng)
        small = small_sweeps(arena, rng, until)
        long.end()
        found = summary(long, small) | {"seed": flags.seed, "minutes": flags.minutes}
    Console().print(table(found), *found["wrong"], sep="\n")
    if flags.to:
        write(Path(flags.to), found, long.samples)
    return 0 if not found["wrong"] and not small.lost and not small.changed and flat(found) else 1


def small_sweeps(arena: Arena, rng: random.Random, until: float) -> Tally:
    """Small sweeps that are interrupted and continued, one after the other."""
    total = Tally()
    while time.monotonic() < until:
        if rng.random() < 0.5:
            total.add(end_launchers(rng.choice(ENDS), arena, rng, 3))
        else:
            total.add(kill_lanes(arena, rng, 2))
    return total


class Long:
    """One launcher that never comes to an end, and the threads that watch it and kill its second lane."""

    def __init__(self, arena: Arena, until: float, rng: random.Random):
        self.folder, self.until, self.rng = arena.folder / "long", until, rng
        self.workdir, self.samples, self.kills = self.folder / "run", [], 0
        self.folder.mkdir()
        text = SWEEP.format(wirings=["pre", "post"]).replace("range(4)", "range(1500)")
        text = text.replace("c.train.steps = 20", "c.train.steps = 20000")
        text = text.replace("chunk_steps = 5", "chunk_steps = 50")
        (self.folder / "small.py").write_text(text)
        arena = Arena(self.folder)
        (self.folder / "compiled").symlink_to(self.folder.parent / "compiled")
        with (self.folder / "output").open("wb") as output:  # nobody reads a pipe while it runs
            self.process = arena.launch(self.workdir, "--lanes=2", "--checkpoint_seconds=1", output=output)
        self.threads = [threading.Thread(target=work) for work in (self.watch, self.kill)]
        for thread in self.threads:
            thread.start()

    def watch(self) -> None:
        """Writes down what the launcher and its lanes hold."""
        launcher, begun = psutil.Process(self.process.pid), time.monotonic()
        while time.monotonic() < self.until and self.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                found = [("launcher", launcher), *(("lane", process) for process in launcher.children())]
                self.samples += [held(kind, process, time.monotonic() - begun) for kind, process in found]
            time.sleep(EVERY)

    def kill(self) -> None:
        """Kills the younger lane now and then."""
        while time.monotonic() < self.until and self.process.poll() is None:
            time.sleep(min(self.rng.uniform(30, 90), max(0.0, self.until - time.monotonic())))
            with contextlib.suppress(psutil.Error):
                team = sorted(lanes(self.workdir), key=lambda process: process.create_time())
                if len(team) == 2 and time.monotonic() < self.until:
                    team[1].kill()
                    self.kills += 1

    def end(self) -> None:
        """Interrupts the launcher and waits for all of it."""
        for thread in self.threads:
            thread.join()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)


def held(kind: str, process: psutil.Process, seconds: float) -> dict:
    """A sample: what a process holds."""
    with process.oneshot():
        return {
            "seconds": round(seconds, 1),
            "kind": kind,
            "pid": process.pid,
            "mb": round(process.memory_info().rss / 1e6, 1),
            "files": process.num_fds(),
            "threads": process.num_threads(),
        }


def slope(samples: list[dict], name: str) -> float:
    """How much a quantity grows in a minute, by least squares over what follows the first WARM seconds."""
    first = samples[0]["seconds"] + WARM
    late = [(one["seconds"] / 60, one[name]) for one in samples if one["seconds"] >= first]
    return float(np.polyfit(*np.transpose(late), 1)[0]) if len(late) > 10 else float("nan")


def summary(long: Long, small: Tally) -> dict:
    """What the soak found."""
    of = {}
    for one in long.samples:
        of.setdefault(one["pid"], []).append(one)
    launcher = of[long.process.pid]
    steady = max((one for pid, one in of.items() if pid != long.process.pid), key=len)
    cells = records.sweep(long.workdir)["cells"]
    ends = [records.outcome(long.workdir, cell) for cell in sorted(records.finished(long.workdir, cells))]
    wrong = [*small.wrong, *(str(one) for one in ends if one["status"] in ("failed", records.DAMAGED))]
    wrong += [
        f"{one.path}: {one.why}"
        for one in check.check(long.workdir)
        if one.kind != check.DAMAGED or "planned" not in one.why
    ]
    wrong += [f"orphan {process.pid}" for process in lanes(long.workdir.parent, patience=20)]
    if long.process.returncode != 128 + signal.SIGTERM:
        wrong.append(f"exit status {long.process.returncode}: {(long.folder / 'output').read_text()[-500:]}")
    return {
        "sampled_minutes": round(launcher[-1]["seconds"] / 60, 1),
        "cells": len(ends),
        "lanes_killed": long.kills,
        "small_sweep_faults": small.tries,
        "cells_lost": small.lost,
        "results_changed": small.changed,
        **{
            f"{kind}_{name}": facts(samples, name)
            for kind, samples in (("launcher", launcher), ("lane", steady))
            for name in ("mb", "files", "threads")
        },
        "lane_minutes": round((steady[-1]["seconds"] - steady[0]["seconds"]) / 60, 1),
        "wrong": wrong,
    }


def facts(samples: list[dict], name: str) -> dict:
    """A quantity when it was warm, at the end, and what it gained in a minute."""
    warm = [one[name] for one in samples if one["seconds"] >= samples[0]["seconds"] + WARM] or [samples[-1][name]]
    return {"warm": warm[0], "last": warm[-1], "most": max(warm), "per_minute": round(slope(samples, name), 4)}


def flat(found: dict) -> bool:
    """Whether launcher and lane hold as much at the end as at the beginning."""
    return all(
        not found[f"{kind}_{name}"]["per_minute"] > FLAT
        for kind in ("launcher", "lane")
        for name in ("mb", "files", "threads")
    )


def table(found: dict) -> Table:
    """The summary for a terminal."""
    drawn = Table("what", "found", title="soak")
    for name, value in found.items():
        if name != "wrong":
            shown = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
            drawn.add_row(name, str(shown))
    drawn.add_row("wrong", str(len(found["wrong"])))
    return drawn


def write(folder: Path, found: dict, samples: list[dict]) -> None:
    """The summary as Markdown, and with a sample of every minute as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(name, json.dumps(value).strip('{}"').replace('"', "")) for name, value in found.items()]
    text = "\n".join(["| what | found |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])
    (folder / "soak.md").write_text(text + "\n")
    kept = [one for one in samples if one["seconds"] % 60 < EVERY]
    about = {"git": provenance.git(), "cpu": provenance.cpu()}
    (folder / "soak.json").write_text(json.dumps(found | about | {"samples": kept}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
