"""Where the results of cells go: written while the lease on their program is held, and said as events."""

import traceback
from typing import Any, NamedTuple

from experiments import hosts, leases, leftovers, records
from experiments.checkpoints import Keeper
from experiments.compiled import Compiled
from experiments.files import RecordError, trouble
from experiments.outcome import status
from experiments.settings import USUAL, Settings
from flax_tx.config import Config

Event = dict[str, Any]


class Unwritable(RecordError):
    """A result could not be written: no cell's fault, and nothing more can be kept until the disk is mended."""


class Desk(NamedTuple):
    """Where results go, how cells are run, and the file that must be there as long as they may be written."""

    workdir: str
    settings: Settings = USUAL
    lease: str | None = None

    def keeper(self, cell: str, config: Config, compiled: Compiled) -> Keeper:
        """What keeps a cell while it trains."""
        if hosts.first():
            leftovers.sweep_out(records.cell_dir(self.workdir, cell))
        return Keeper(self.workdir, cell, config, compiled.origin, self.settings)

    def finish(self, cell, outcome, summary=None, metrics=None, layers=None, probes=None, error=None) -> Event:
        """Writes the records of a cell and gives the event that says so. Raises: Lost, Unwritable."""
        leases.check(self.lease)
        try:
            if hosts.first():
                records.write_result(self.workdir, cell, metrics, layers, summary, outcome, error, probes)
        except OSError as problem:
            raise Unwritable(trouble(problem)) from None
        shown = {name: outcome[name] for name in ("status", "reason", "seconds")}
        return {"event": "cell", "cell": cell, "val_loss": (summary or {}).get("val_loss"), **shown}

    def fail(self, cell: str, seconds: float) -> Event:
        """Records the error that is being handled as the result of a cell, unless it is that a process is gone."""
        text = traceback.format_exc()
        hosts.meet()
        reason = last_line(text)
        return self.finish(cell, status("failed", seconds, reason=reason[:500]), error=text)


def last_line(text: str) -> str:
    """The last line of a traceback that says anything."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "unknown")
