"""What a benchmark shows: tables for the terminal and for Markdown, spreads over rounds, a page with its provenance."""

import json
import shlex
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.machine import ROOT
from experiments import provenance, records
from experiments.executors.devices import cores

RESULTS = ROOT / "benchmarks" / "results"
WIDE = 140  # characters
BUSY = 0.2  # load per core above which speeds say little


@dataclass(frozen=True)
class Table:
    """A table: the first column is text, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
        table.collapse_padding, table.pad_edge = True, False
        for index, name in enumerate(self.header):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        rule = ("---", *["---:"] * (len(self.header) - 1))
        lines = [f"| {' | '.join(cells)} |" for cells in (self.header, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines])


class Spread:
    """Median, least and largest of a figure over rounds."""

    def __init__(self, numbers: Iterable[float]):
        numbers = list(numbers)
        self.median, self.low, self.high = statistics.median(numbers), min(numbers), max(numbers)

    def show(self, form: str, factor: float = 1.0) -> str:
        median, low, high = (format(factor * number, form) for number in (self.median, self.low, self.high))
        return f"{median} ({low}–{high})"


def screen() -> Console:
    """The terminal; where there is none, a page that is wide enough for every table."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def started(command: str, arguments: Sequence[str], console: Console) -> dict:
    """What a result says of where it comes from; a busy machine is told."""
    busy = psutil.getloadavg()[0]
    if busy > BUSY * len(cores()):
        console.print(f"The machine is busy (load {busy:.1f}): ratios mean something, speeds do not.", style="yellow")
    typed = shlex.join([*command.split(), *arguments])
    return {"command": typed, "provenance": provenance.collect(), "load": busy, "cores": len(cores())}


def show(name: str, title: str, found: dict, tables: list[Table], console: Console, keep: bool) -> None:
    """Prints the tables, and keeps them as results/NAME.md with every figure in NAME.json where that is wanted."""
    for table in tables:
        console.print(table.rich())
    if keep:
        write(name, title, found, tables)
        console.print(f"Written: {(RESULTS / f'{name}.json').relative_to(ROOT)} and {name}.md beside it.")


def write(name: str, title: str, found: dict, tables: list[Table]) -> None:
    """Keeps what was found as results/NAME.json and the tables as NAME.md."""
    records.write_text(RESULTS / f"{name}.json", json.dumps(records.plain(found), indent=1) + "\n")
    records.write_text(RESULTS / f"{name}.md", page(title, found, tables))


def page(title: str, found: dict, tables: list[Table]) -> str:
    """The results as Markdown."""
    source = found["provenance"]
    changes = " with uncommitted changes" if source["git"].get("dirty") else ""
    versions = ", ".join(f"{name} {version}" for name, version in (source["versions"] | found.get("peers", {})).items())
    facts = {
        "command": f"`{found['command']}`",
        "date": source["created"],
        "commit": source["git"].get("commit", "unknown") + changes,
        "machine": f"{source['cpu']}, {found['cores']} cores, {source['memory_gb']} GB",
        "load at the start": f"{found['load']:.1f}",
        "versions": f"Python {source['python']}, {versions}",
    }
    parts = [f"# {title}", "\n".join(f"- {name}: {fact}" for name, fact in facts.items())]
    return "\n\n".join([*parts, *(table.markdown() for table in tables), *found.get("notes", ())]) + "\n"
