"""What the instrument itself costs: planning, relaunching, tables, the report, diagnostics, checkpoints, memory.

    python -m benchmarks.instrument            writes benchmarks/results/instrument.{json,md}
    python -m benchmarks.instrument --quick    everything once and small; writes nothing

Commands are timed as a user waits for them, from their start to their end, imports included. Diagnostics and
checkpoints are timed inside lanes that train the default cell.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import calibration
from benchmarks.machine import ROOT, Worker, measure, ready
from benchmarks.tables import Spread, Table, screen, show, started
from experiments import command, plan, records, sweep_file
from experiments.executors.devices import cores
from experiments.settings import USUAL
from flax_tx.config import to_dict
from tests.experiments import synthetic

COMMAND = "python -m benchmarks.instrument"
TARGETS = {  # the most that a median may be
    "planning 10,000 cells, s": 5.0,
    "relaunching a finished sweep of 1,000 cells, s": 2.0,
    "diagnostics, share of a run": 0.05,
    "checkpoints, share of a run": 0.03,
}


def main(arguments: Sequence[str]) -> None:
    """Measures, prints, and writes unless it was quick."""
    parser = argparse.ArgumentParser(f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once and small; writes nothing")
    parser.add_argument("--rounds", type=int, default=5)
    flags, console = parser.parse_args(arguments), screen()
    found = started(COMMAND, arguments, console)
    rounds, less = (1, 10) if flags.quick else (flags.rounds, 1)
    with tempfile.TemporaryDirectory() as folder:
        many, run, shown = prepare(Path(folder), less)
        turns = [commands(many, run, shown) for _ in range(rounds)]
        lanes = [Worker("lane", 64, 6, core) for core in cores()]
        try:
            ready(lanes)
            for turn in turns:
                turn |= inside(lanes)
        finally:
            for lane in lanes:
                lane.stop()
    found["rounds"] = turns
    show("instrument", "The instrument", found, [table(turns)], console, keep=not flags.quick)


def prepare(folder: Path, less: int) -> tuple[Path, list[str], Path]:
    """A sweep file of 10,000 cells, the command of a finished sweep of 1,000, and a workdir of 500 curves."""
    many, thousand = folder / "many.py", folder / "thousand.py"
    many.write_text(calibration.SWEEP.format(seeds=50 // less))
    thousand.write_text(calibration.SWEEP.format(seeds=5 // min(less, 5)))
    workdir = folder / "run"
    cells = plan.make(sweep_file.read(str(thousand)), {}).cells
    for cell, config in cells.items():
        records.write_cell_config(workdir, cell, to_dict(config))
    calibration.result(workdir, [*cells])
    launch = ["experiments.launch", f"--config={thousand}", f"--workdir={workdir}"]
    timed(*launch)  # writes sweep.json
    shown = folder / "shown"
    synthetic.write(shown, depths=(2, 6, 12, 18, 24), rates=(3e-4, 1e-3), seeds=range(5 if less == 1 else 1), steps=500)
    return many, launch, shown


def timed(*words: str) -> tuple[float, float]:
    """Seconds of a command, and the most memory that it held, in MB. Raises: RuntimeError where it fails."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{words}: status {status}")
    return time.monotonic() - begun, used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def commands(many: Path, launch: list[str], shown: Path) -> dict[str, float]:
    """One turn of the commands."""
    workdir = launch[-1]
    planning, memory = timed("experiments.launch", f"--config={many}", f"--workdir={many.parent / 'none'}", "--dry_run")
    page = many.parent / "report.html"
    return {
        "planning 10,000 cells, s": planning,
        "planning 10,000 cells, MB of the launcher": memory,
        "relaunching a finished sweep of 1,000 cells, s": timed(*launch)[0],
        "status of 1,000 cells, s": timed("experiments.status", workdir)[0],
        "table of 1,000 cells, s": timed("experiments.table", workdir)[0],
        "report of 500 curves of 500 steps, s": timed("experiments.report", f"--workdir={shown}", f"--out={page}")[0],
        "report of 500 curves of 500 steps, MB of the page": page.stat().st_size / 1e6,
    }


def inside(lanes: list[Worker]) -> dict[str, float]:
    """One turn inside lanes: what diagnostics take of a run, and a checkpoint of the interval between two."""
    diagnosed = measure(lanes, 6.0, steps=50, diagnose=True)
    saved = measure(lanes, 3.0, save=True)
    seconds = max(1 / answer["saves_per_second"] for answer in saved)
    return {
        "diagnostics, share of a run": max(answer["diagnose_share"] for answer in diagnosed),
        "a checkpoint, s": seconds,
        "checkpoints, share of a run": seconds / USUAL.checkpoint_seconds,
    }


def table(turns: list[dict]) -> Table:
    """Every figure beside its target."""
    rows = []
    for name in turns[0]:
        spread, most = Spread(turn[name] for turn in turns), TARGETS.get(name)
        form = ".2%" if "share" in name else ".3f" if "checkpoint" in name else ".2f"
        target = "" if most is None else f"at most {most:{'.0%' if most < 1 else '.0f'}}"
        met = "" if most is None else "met" if spread.median <= most else "not met"
        rows.append((name, spread.show(form), target, met))
    return Table(f"Median of {len(turns)} (least–most)", ("", "measured", "target", ""), rows)


if __name__ == "__main__":
    command.run(main)
