"""The table of the faults: for a terminal, as Markdown, and as JSON that keeps the rows which were not run anew."""

import json
import platform
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from experiments import provenance
from faults.fault import Fault, Tally

HEADS = ("fault", "tries", "cells lost", "results changed", "otherwise wrong", "seconds")
BAD = HEADS[2:5]


def row(fault: Fault, tally: Tally, seconds: float, command: str) -> dict:
    """A row: HEADS, what was wrong in words, and where it comes from."""
    numbers = (fault.name, tally.tries, tally.lost, tally.changed, len(tally.wrong), round(seconds))
    commit = provenance.git().get("commit", "")[:12]
    about = {"command": command, "commit": commit, "cpu": provenance.cpu(), "python": platform.python_version()}
    return dict(zip(HEADS, numbers, strict=True)) | {"wrong": tally.wrong} | about


def table(rows: Iterable[dict], caption: str) -> Table:
    """The table for a terminal."""
    drawn = Table(caption=caption)
    for head in HEADS:
        drawn.add_column(head, **({"overflow": "fold"} if head == HEADS[0] else {"justify": "right", "min_width": 7}))
    for one in rows:
        drawn.add_row(*(str(one[head]) for head in HEADS), style="bold red" if any(one[head] for head in BAD) else "")
    return drawn


def write(folder: Path, rows: list[dict], order: Iterable[str]) -> None:
    """Writes faults.json and faults.md; rows of an earlier run whose faults were left out this time stay."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "faults.json"
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    known = {one["fault"]: one for one in (*before, *rows)}
    kept = [known[name] for name in order if name in known]
    path.write_text(json.dumps({"rows": kept}, indent=1) + "\n")
    lines = [HEADS, ["---", *["---:"] * (len(HEADS) - 1)], *([one[head] for head in HEADS] for one in kept)]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    made = dict.fromkeys(f"- `{one['command']}`, commit {one['commit']}, {one['cpu']}" for one in kept)
    (folder / "faults.md").write_text("\n".join((text, "", *made)) + "\n")
