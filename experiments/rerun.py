"""Trains cells again from their records alone and compares to the bit:
python -m experiments.rerun --workdir=DIR CELL [CELL ...]

A cell's config.json is all that a lane gets, in a folder of its own that goes afterwards; the workdir is only read.
Compared are the status, every number of the summary but times, and every value of the curves, the diagnostics and the
probes. What else decides bits (commit, versions, processor, data) is named where it is not what the records say. Exit
status: 0 all is equal, 1 something differs, 2 a mistake in what was asked.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from rich.text import Text

from experiments import plan, provenance, records
from experiments.command import Parser, run
from experiments.equality import SOURCE, Finding, compare
from experiments.executors import local
from experiments.leases import Leases
from experiments.metrics.cells import describe
from experiments.screen import Screen
from experiments.settings import Settings
from flax_tx import data
from flax_tx.config import Config, freeze
from flax_tx.errors import UserError, nearest


def chosen(workdir: str | os.PathLike, cells: Sequence[str]) -> dict[str, Config]:
    """The configs of the cells. Raises: UserError with a line for each that has no whole result, or cannot be run."""
    known, configs, problems = records.load(workdir, all_cells=True), {}, []
    for cell in dict.fromkeys(cells):
        status = known.status.get(cell)
        if status is None:
            problems.append(f"cell {cell!r:.60}: not in {workdir}{nearest(cell, known.index)}")
        elif status in records.ABSENT:
            why = f" ({known.reason[cell]})" if status == records.DAMAGED else ""
            problems.append(f"cell {cell}: {status}{why}; expected one with a result, to compare with")
        else:
            try:
                configs[cell] = freeze(records.read_config(workdir, cell))
                problems += data.problems(configs[cell].data)
            except UserError as error:
                problems += error.problems
    if problems:
        raise UserError(dict.fromkeys(problems))
    return configs


def train(configs: Mapping[str, Config], folder: str, lanes: int) -> Iterator[str]:
    """Trains the cells in a folder of their own, and gives each as it ends."""
    for cell, config in configs.items():
        records.write_cell_config(folder, cell, records.plain(plan.to_dict(config)))
    settings = Settings(lanes=lanes, checkpoint_seconds=-1, lane_devices=plan.devices(configs.values()))
    with closing(Leases(folder)) as leases:
        for event in local.run(folder, plan.programs(dict(configs)), settings, leases):
            if event["event"] == "cell":
                yield event["cell"]


def origins(workdir: str | os.PathLike, cell: str, config: Config, after: str | os.PathLike) -> Iterator[str]:
    """What made the record and is not what made it again."""
    manifest, here = records.sweep(workdir), provenance.collect()
    one, two = (records.outcome(folder, cell) for folder in (workdir, after))
    recorded = manifest["provenance"]
    then = recorded.get("versions", {}) | {name: recorded.get(name) for name in ("python", "cpu")}
    now = here["versions"] | {name: here[name] for name in ("python", "cpu")}
    known = describe(manifest["data"], records.flatten(records.read_config(workdir, cell)))
    then |= {name: one.get(name) for name in SOURCE} | {"data": known.get("fingerprint")}
    now |= {name: two.get(name) for name in SOURCE} | {"data": data.describe(config.data).fingerprint}
    for name, value in then.items():
        if value is not None and now.get(name) is not None and now[name] != value:
            yield f"{name} {now[name]} was {value}"
    if here["git"].get("dirty"):
        yield "the working tree has uncommitted changes"


def main(argv: Sequence[str]) -> int:
    """Trains again and prints what is equal and what differs. Returns the exit status."""
    parser = Parser("experiments.rerun", __doc__)
    parser.add_argument("cells", nargs="+", metavar="CELL", help="the id of a cell, as experiments.status names it")
    parser.add_argument("--lanes", type=int, default=0, help="worker processes; 0: one per device")
    flags = parser.parse_args(argv)
    if flags.lanes < 0:
        raise UserError(f"--lanes = {flags.lanes}: expected 0 (one per device) or more")
    configs, console, different = chosen(flags.workdir, flags.cells), Screen(soft_wrap=True, highlight=False), 0
    with tempfile.TemporaryDirectory(prefix="flax_tx_rerun_") as folder:
        for cell in train(configs, folder, flags.lanes):
            found = list(compare(cell, flags.workdir, folder))
            different += any(one.difference for one in found)
            console.print(told(cell, found, list(origins(flags.workdir, cell, configs[cell], folder))))
    console.print(f"{len(configs) - different} of {len(configs)} cells are equal to the bit")
    return 1 if different else 0


def told(cell: str, found: Sequence[Finding], origin: Sequence[str]) -> Text:
    """One cell, a line for each part that differs, one for those that are equal, and for what else is not the same."""
    equal = [one.part for one in found if not one.difference]
    lines = [("equal", ", ".join(equal), "green")] if equal else []
    lines += [("differs", f"{one.part}: {one.difference}", "bold red") for one in found if one.difference]
    lines += [("made with", line, "yellow") for line in origin]
    return Text("\n").join(
        [Text(cell), *(Text.assemble("  ", (f"{head:<9}", style), f"  {text}") for head, text, style in lines)]
    )


if __name__ == "__main__":
    run(main)
