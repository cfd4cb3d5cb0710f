"""Whether a workdir holds what was written to it: python -m experiments.check --workdir=DIR

Reads every file and says which are damaged (not what was written), foreign (nothing here writes them) or left over
(of a try that was cut off). Nothing is changed: the same launch clears what is left over, and with --retry=damaged
trains damaged cells again. A launch that runs has files that it is still writing. Exit status 1 if anything is named.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from experiments import files, launches, records, shapes
from experiments.command import Parser, run
from experiments.files import FIRST, RecordError
from experiments.screen import Screen
from flax_tx.config import name_of

DAMAGED, FOREIGN, LEFT = "damaged", "foreign", "left over"
STYLES = {DAMAGED: "bold red", FOREIGN: "yellow", LEFT: "yellow"}
TEMPORARY = re.compile(r"\..*\.tmp")
OTHERS = ("logs", "leases", "states", ".lock", ".holder")  # in a workdir, but no records
PLACES = ("sweep.json", "launches", "cells", "checkpoints")


class Finding(NamedTuple):
    """A file that is not as it should be, and why."""

    kind: str
    path: Path
    why: str


def check(workdir: str | os.PathLike) -> Iterator[Finding]:
    """Everything in a workdir that is damaged, foreign or left over. Raises: UserError for a folder of no sweep."""
    workdir = Path(workdir)
    try:
        planned = set(records.sweep(workdir)["cells"])
    except RecordError as error:
        planned = set()
        yield Finding(DAMAGED, workdir / "sweep.json", reason(error))
    for path in sorted(workdir.iterdir()):
        if path.is_symlink():
            yield Finding(FOREIGN, path, "a link that leads elsewhere")
        elif path.name not in (*PLACES, *OTHERS):
            yield unknown(path)
    yield from launched(workdir)
    for folder in members(workdir / "cells"):
        yield from cell(workdir, folder)
    for folder in members(workdir / "checkpoints"):
        if folder.name in records.finished(workdir, filter(shapes.ID.fullmatch, [folder.name])):
            yield Finding(LEFT, folder, "of a cell that has a result")
    for name in sorted(planned - {folder.name for folder in members(workdir / "cells")}):
        yield Finding(DAMAGED, workdir / "cells" / name, "planned, but not there")


def members(folder: Path) -> list[Path]:
    """What is in a folder that may not be there."""
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def reason(error: RecordError) -> str:
    """What is wrong, without the name of the file that begins the line."""
    said = str(error).partition(": ")[2]
    return re.sub(r"^damaged \((.*?)\)(; |$)", r"\1\2", said)


def unknown(path: Path) -> Finding:
    """A file that no record explains."""
    temporary = TEMPORARY.fullmatch(path.name)
    return Finding(LEFT, path, "a write that was cut off") if temporary else Finding(FOREIGN, path, "no record")


def launched(workdir: Path) -> Iterator[Finding]:
    """The launches."""
    for path in members(workdir / "launches"):
        if path.suffix != ".json" or path.is_symlink():
            yield unknown(path)
            continue
        try:
            launches.read(path)
        except RecordError as error:
            yield Finding(DAMAGED, path, reason(error))


def cell(workdir: Path, folder: Path) -> Iterator[Finding]:
    """The files of one cell."""
    if folder.is_symlink() or not folder.is_dir() or not shapes.ID.fullmatch(folder.name):
        yield unknown(folder)
        return
    yield from config(workdir, folder)
    try:
        status = records.status_of(workdir, folder.name)
        mine = proved(status)
    except RecordError as error:
        yield Finding(DAMAGED, folder / "status.json", reason(error))
        status, mine = {}, set(records.RESULT)
    for name in sorted(mine - {"status.json"} if status else ()):
        yield from content(folder / name, (status.get("files") or {}).get(name))
    for path in members(folder):
        if path.name in records.RESULT and path.name not in mine and not path.is_symlink():
            yield Finding(LEFT, path, "its cell has no such result")
        elif path.name not in ("config.json", *mine) or path.is_symlink():
            yield unknown(path)


def proved(status: dict | None) -> set[str]:
    """The files that belong to a result; of one of schema 1, which names none, any."""
    if not status:
        return set()
    return set(records.RESULT) if status["schema"] == FIRST else {"status.json", *status.get("files", ())}


def config(workdir: Path, folder: Path) -> Iterator[Finding]:
    """config.json: proved by its seal, and by the name of its folder, which is a hash of it."""
    path = folder / "config.json"
    try:
        if name_of(records.read_config(workdir, folder.name)) != folder.name:
            yield Finding(FOREIGN, path, "its cell would have another name in this version")
    except RecordError as error:
        yield Finding(DAMAGED, path, reason(error))


def content(path: Path, proof: str | None) -> Iterator[Finding]:
    """A file of a result: its proof, where it has one, and that it can be read."""
    if proof is None and not path.is_file():
        return
    try:
        records.parse(path, files.read_bytes(path, proof))
    except RecordError as error:
        yield Finding(DAMAGED, path, reason(error))


def unproved(workdir: str | os.PathLike) -> int:
    """JSON files of schema 1, which nothing proves."""
    found = 0
    for path in [Path(workdir) / "sweep.json", *Path(workdir).glob("cells/*/*.json")]:
        try:
            found += records.read_json(path)["schema"] == FIRST
        except RecordError:
            continue
    return found


def main(argv: Sequence[str]) -> int:
    """Prints what is wrong with --workdir. Returns the exit status."""
    flags = Parser("experiments.check", __doc__).parse_args(argv)
    console, found = Screen(soft_wrap=True, highlight=False), list(check(flags.workdir))
    for one in found:
        console.print(Text.assemble((f"{one.kind:<9}", STYLES[one.kind]), f"  {one.path}: {one.why}"))
    counts = Counter(one.kind for one in found)
    total = sum(path.is_file() for path in Path(flags.workdir).rglob("*"))
    said = ", ".join(f"{counts[kind]} {kind}" for kind in STYLES if counts[kind]) or "all as they were written"
    if old := unproved(flags.workdir):
        said += f"; {old} JSON files of schema {FIRST}, which carry no proof"
    console.print(Text(f"{total} files: {said}"))
    return 1 if found else 0


if __name__ == "__main__":
    run(main)
