"""What a launch that was killed leaves in a workdir: files that were being written, checkpoints of finished cells."""

import contextlib
import os
import shutil
from pathlib import Path

from experiments import records
from experiments.leases import Leases
from experiments.shapes import ID


def sweep_out(folder: Path) -> None:
    """Removes the temporary files of a folder in which nobody writes."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def tidy(workdir: str | os.PathLike, leases: Leases) -> None:
    """Removes what nobody needs any more, for who holds the lease on the sweep. What failed can be tried again."""
    leases.tidy()
    for folder in (Path(workdir), Path(workdir) / "launches"):
        sweep_out(folder)
    checkpoints = Path(workdir) / "checkpoints"
    for cell in records.finished(workdir, filter(ID.fullmatch, [path.name for path in checkpoints.glob("*")])):
        if records.outcome(workdir, cell)["status"] != "failed":
            shutil.rmtree(checkpoints / cell, ignore_errors=True)
    with contextlib.suppress(OSError):  # absent, or not empty
        checkpoints.rmdir()
