"""What a picture shows of one or several sweeps: which fields its lines and panels differ in, and the arms of each."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from experiments import overlay, records
from experiments.labels import pairs
from experiments.selection import Fields
from experiments.table_spec import Table
from experiments.tables.arms import Arm, Report, assemble, table_of
from experiments.tables.trials import ranks
from flax_tx.errors import UserError, together


class Line(NamedTuple):
    """One line of a legend: the values of the fields of lines, and the sweeps that it is of."""

    row: tuple
    sweeps: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """The arms of each sweep, by its name; the fields that lines and that panels differ in; what may be chosen."""

    reports: dict[str, Report]
    lines_in: tuple[str, ...]
    panels_in: tuple[str, ...]
    fields: Fields

    @property
    def arms(self) -> Iterator[tuple[str, Report, Arm]]:
        """(sweep, its report, arm) of every arm."""
        return ((sweep, report, arm) for sweep, report in self.reports.items() for arm in report.arms.values())

    @property
    def panels(self) -> list[tuple]:
        """The values of the fields of panels that occur."""
        return self._ordered(self.panels_in, [arm.place.column for _, _, arm in self.arms])

    @property
    def rows(self) -> list[tuple]:
        """The values of the fields of lines that occur."""
        return self._ordered(self.lines_in, [arm.place.row for _, _, arm in self.arms])

    def _ordered(self, names: tuple[str, ...], values: list[tuple]) -> list[tuple]:
        return sorted(dict.fromkeys(values), key=lambda each: ranks(each, names, self.fields.values))

    def name(self, line: Line) -> str:
        """A line in words: what it differs in from the others, then its sweep."""
        words = [self.said(self.lines_in[i], line.row[i]) for i in self.differ]
        return " · ".join(filter(None, (*words, ", ".join(line.sweeps)))) or self.common or "all cells"

    @property
    def differ(self) -> list[int]:
        """Which of the fields of lines differ between lines."""
        return [i for i in range(len(self.lines_in)) if len({row[i] for row in self.rows}) > 1]

    def said(self, name: str, value: Any) -> str:
        """A value by its label, or after its field; a name needs no field before it."""
        return self.fields.labels.get(value) or (value if isinstance(value, str) else pairs({name: value}))

    def panel_name(self, panel: tuple) -> str:
        """`num_layers=6`, or the label of the value where it has one."""
        labels = self.fields.labels
        return ", ".join(labels.get(v) or pairs({n: v}) for n, v in zip(self.panels_in, panel, strict=True))

    @property
    def common(self) -> str:
        """What all arms share: fields of lines, of no role in the picture, or with nothing to retune."""
        each = [_settings(report.spec, arm) for _, report, arm in self.arms]
        return pairs({n: v for n, v in each[0].items() if all(n in one and one[n] == v for one in each)})


def _settings(spec: Table, arm: Arm) -> dict[str, Any]:
    of_lines, rest = zip(spec.rows, arm.place.row, strict=True), zip(spec.split, arm.place.split, strict=True)
    held = () if arm.choice.tuned else zip(spec.nuisance, arm.choice.value, strict=True)
    return dict(of_lines) | dict(rest) | dict(held)


def arrange(spec: Table, lines: Sequence[str], panels: Sequence[str]) -> Table:
    """The sweep's table with the fields of lines as rows and those of panels as columns; the others become split."""
    chosen = {*lines, *panels}
    others = (*spec.rows, *spec.columns, *spec.split, *spec.along, *spec.only)
    roles = {
        "rows": tuple(lines),
        "columns": tuple(panels),
        "split": tuple(name for name in dict.fromkeys(others) if name not in chosen),
        "nuisance": tuple(name for name in spec.nuisance if name not in chosen),
        "seeds": tuple(name for name in spec.seeds if name not in chosen),
        "only": {name: value for name, value in spec.only.items() if name not in chosen},
    }
    return dataclasses.replace(spec, baseline=None, columns_of=(), **roles)


def select(
    workdirs: str | os.PathLike | Sequence[str | os.PathLike],
    where: str = "",
    group_by: str | None = None,
    facet: str | None = None,
    metric: str | None = None,
) -> View:
    """The arms to show, each at its best learning rate (or whatever its sweep retunes).

    Args:
      where, group_by, facet: as experiments.selection reads them; lines are the rows of the sweeps' tables by default,
        panels their columns, or the fields along these.
      metric: the number of each arm; the tables' own by default.

    Raises: UserError for an unknown field, value or metric, for no cell, or a field that varies and would be averaged
    over.
    """
    folders = [workdirs] if isinstance(workdirs, str | os.PathLike) else list(workdirs)
    sweeps = dict(zip(overlay.names(folders), folders, strict=True))
    manifests = dict(zip(sweeps, together(*(partial(records.sweep, folder) for folder in folders)), strict=True))
    specs = dict(zip(sweeps, together(*(partial(table_of, each) for each in manifests.values())), strict=True))
    fields = Fields.of(*((manifests[name], records.load(folder)) for name, folder in sweeps.items()))
    kept, lines, panels = together(
        partial(fields.where, where),
        lambda: None if group_by is None else fields.listed(group_by, "group_by"),
        lambda: None if facet is None else fields.listed(facet, "facet"),
    )
    lines, panels = _shown(lines, panels, list(specs.values()))
    reports = {
        name: _report(folder, arrange(specs[name], lines, panels), kept, where, metric)
        for name, folder in sweeps.items()
    }
    return View(reports, lines, panels, fields)


def _shown(lines: tuple | None, panels: tuple | None, specs: Sequence[Table]) -> tuple[tuple, tuple]:
    """The fields of lines and of panels; by default what the tables have as rows, and as columns or along these."""
    rows = dict.fromkeys(name for spec in specs for name in spec.rows)
    columns = dict.fromkeys(name for spec in specs for name in spec.columns or spec.along)
    if both := [name for name in lines or () if name in (panels or ())]:
        raise UserError(f"{name}: it is in group_by and in facet; expected it in one of them" for name in both)
    lines = tuple(name for name in rows if name not in (panels or ())) if lines is None else lines
    return lines, tuple(name for name in columns if name not in lines) if panels is None else panels


def _report(
    workdir: str | os.PathLike, spec: Table, kept: Mapping[str, tuple], where: str, metric: str | None
) -> Report:
    spec = dataclasses.replace(spec, only={name: v for name, v in spec.only.items() if name not in kept})
    report = assemble(workdir, metric, spec, kept)
    if not report.arms:
        raise UserError(f"where {where!r}: no cell of {workdir} is all of this")
    mixed = []
    for i, name in enumerate(report.spec.split):
        values = dict.fromkeys(report.spec.label(split[i]) for split in report.values_of("split"))
        if len(values) > 1:
            choose = f"add it to --group_by or --facet, or choose one: --where={name}={next(iter(values))}"
            mixed.append(f"{name} varies ({', '.join(values)}) and would be mixed: {choose}")
    if mixed:
        raise UserError(mixed)
    return report
