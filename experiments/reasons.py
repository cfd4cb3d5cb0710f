"""Why cells of a plan would run: what a workdir holds of each, and what has changed since the nearest that it holds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import differences, records
from experiments.plan import Plan
from flax_tx.config import SCHEMA_VERSION, complete, name_of, to_dict

Flat = Mapping[str, Any]  # dotted field -> value


@dataclass(frozen=True)
class Reason:
    """What a workdir says of one cell.

    A cell with a `status` has a result and would not run; one that was `started` has a folder without one. `nearest` is
    the cell on the other side (recorded for a planned cell, planned for a stray one) that differs in the fewest fields,
    and `changes` are those: field -> (recorded, planned).
    """

    cell: str
    status: Mapping[str, Any] | None = None
    started: bool = False
    nearest: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Workdir:
    """A workdir beside a plan: the flat configs of both, and the status of each recorded cell."""

    path: str
    plan: Plan
    manifest: Mapping[str, Any]
    planned: dict[str, Flat]
    recorded: dict[str, Flat]
    statuses: dict[str, Mapping[str, Any]]

    @property
    def strays(self) -> list[str]:
        """Recorded cells that the plan does not have."""
        return [cell for cell in self.recorded if cell not in self.planned]

    def reasons(self) -> dict[str, Reason]:
        """The reason of each cell of the plan. Among recorded cells that are equally near, a stray one is taken."""
        missing = [cell for cell in self.planned if cell not in self.statuses]
        found = differences.nearest([self.planned[cell] for cell in missing], self.recorded, set(self.strays))
        nearest = dict(zip(missing, found, strict=True))
        return {cell: self._reason(cell, nearest.get(cell)) for cell in self.planned}

    def _reason(self, cell: str, nearest: str | None) -> Reason:
        if cell in self.statuses:
            return Reason(cell, self.statuses[cell])
        started = (records.cell_dir(self.path, cell) / "config.json").is_file()
        changes = differences.between(self.recorded[nearest], self.planned[cell]) if nearest else {}
        return Reason(cell, None, started, nearest, changes)

    def stray(self, cells: Sequence[str]) -> list[Reason]:
        """The reasons of recorded cells that the plan does not have; a planned one without a result is the nearer."""
        missing = [cell for cell in self.planned if cell not in self.statuses]
        found = differences.nearest([self.recorded[cell] for cell in cells], self.planned, set(missing))
        return [
            Reason(
                cell,
                self.statuses[cell],
                nearest=nearest,
                changes=differences.between(self.recorded[cell], self.planned[nearest]),
            )
            for cell, nearest in zip(cells, found, strict=True)
        ]

    def version_of(self, cell: str) -> int | None:
        """The version of the schema that gives a recorded cell its name; None where none does."""
        config = records.read_json(records.cell_dir(self.path, cell) / "config.json")["config"]
        return next((version for version in range(SCHEMA_VERSION, 0, -1) if name_of(config, version) == cell), None)


def read(workdir: str | os.PathLike, plan: Plan) -> Workdir:
    """A workdir beside a plan. Raises: UserError for a folder that is no sweep's, or a torn file."""
    manifest = records.sweep(workdir)
    found = {path.parent.name for path in Path(workdir).glob("cells/*/status.json")}
    cells = [*(cell for cell in plan.cells if cell in found), *sorted(found - plan.cells.keys())]
    configs = {cell: records.read_json(records.cell_dir(workdir, cell) / "config.json")["config"] for cell in cells}
    return Workdir(
        path=str(workdir),
        plan=plan,
        manifest=manifest,
        planned={cell: records.flatten(records.plain(to_dict(config))) for cell, config in plan.cells.items()},
        recorded={cell: records.flatten(complete(config)) for cell, config in configs.items()},
        statuses={cell: records.status_of(workdir, cell) for cell in cells},
    )
