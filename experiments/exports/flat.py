"""One flat file per record: cells, metrics, layers, probes, and `columns`, which says what their columns are."""

import os
from pathlib import Path

from experiments import records
from experiments.exports.frames import frames


def write_csv(workdir: str | os.PathLike, folder: Path) -> None:
    """Writes CSV (UTF-8, numbers in full). A missing value is empty; NaN and inf of a curve are written so.

    Texts are written as they are, so one that begins with `=` is a formula to a spreadsheet: import it as text there.
    """
    found = frames(workdir)
    for name, frame in found.items():
        missing = "" if name in ("cells", "columns") else "NaN"
        records.write_text(folder / f"{name}.csv", frame.to_csv(index=False, na_rep=missing, lineterminator="\n"))


def write_parquet(workdir: str | os.PathLike, folder: Path) -> None:
    """Writes Parquet; pandas reads the very frames back, and any other reader the same types."""
    found = frames(workdir)
    for name, frame in found.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
