"""The cells of a page that did not train, with what is known of why: the same error once, with all its cells."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from experiments import records
from experiments.labels import pairs
from experiments.tables.trials import columns_of

ORDER = ("failed", records.DAMAGED, "diverged", "stuck", records.MISSING)


@dataclass(frozen=True)
class Trouble:
    """Cells with one status and one reason: (id, what it is) of each, and the text of the error of the first."""

    status: str
    reason: str
    cells: list[tuple[str, str]]
    error: str


def troubles(workdir: str | os.PathLike, frame: pd.DataFrame, axes: list[str]) -> Iterator[Trouble]:
    """What failed first, then what diverged, got stuck, or is missing."""
    for status in ORDER:
        mine = frame[frame.status == status]
        for reason, cells in mine.groupby(_reasons(mine, status), sort=False):
            words = [pairs(dict(zip(axes, values, strict=True))) for values in columns_of(cells, axes)]
            found = list(zip(cells.index, words, strict=True))
            yield Trouble(status, reason, found, _error(workdir, cells.index[0]) if status == "failed" else "")


def _reasons(frame: pd.DataFrame, status: str) -> list[str]:
    """What went wrong, without the numbers that differ from cell to cell where a cell only trained badly."""
    usual = {"diverged": "loss or gradient not finite", "stuck": "no better than frequencies alone"}
    reasons = (reason for (reason,) in columns_of(frame, ("reason",)))
    return [usual.get(status) or (reason if isinstance(reason, str) else "no result yet") for reason in reasons]


def _error(workdir: str | os.PathLike, cell: str) -> str:
    path = records.cell_dir(workdir, cell) / "error.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
