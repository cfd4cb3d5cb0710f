"""A stability map: what trains of two fields, learning rate by depth, one panel per wiring."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from experiments import metrics, records, statistics
from experiments.figures.series import Heat, heat
from experiments.labels import short_names
from experiments.metrics import Metric
from experiments.selection import Fields
from experiments.table_spec import Table
from experiments.tables.arms import BAD, Arm, Report, table_of
from experiments.tables.caption import unit
from experiments.tables.faces import title
from experiments.view import View, select
from flax_tx.errors import UserError


@dataclass(frozen=True)
class Map:
    """The squares of each panel, over the fields `x` and `y`; `along` is the field of which the best value is marked.

    `facet` are the fields that panels differ in; a panel goes by its values of these.
    """

    view: View
    x: str
    y: str
    facet: tuple[str, ...]
    along: str
    heats: dict[tuple, Heat]

    @property
    def report(self) -> Report:
        """The arms of the only sweep."""
        return next(iter(self.view.reports.values()))

    @property
    def metric(self) -> Metric:
        """What is in the squares."""
        return self.report.described

    @property
    def title(self) -> str:
        """The title of the sweep's table."""
        return title(self.report)

    def name(self, panel: tuple) -> str:
        """A panel in words."""
        return " · ".join(self.view.said(n, v) for n, v in zip(self.facet, panel, strict=True))

    def axis(self, field: str) -> str:
        """A field as the name of an axis."""
        return short_names([field])[field].replace("_", " ")

    @property
    def _troubled(self) -> bool:
        return any(heat.trouble for heat in self.heats.values())

    @property
    def method(self) -> str:
        """How the squares were made."""
        seeds = sorted({arm.planned for arm in self.report.arms.values()})
        span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        better = "" if self.metric.lower_is_better is None else ", darker is better"
        words = unit(self.report.manifest, self.report.metric)
        parts = [
            self.view.common,
            f"{self.metric.name}{f' ({words})' * bool(words)}, mean over {span} seeds{better}",
            "where not every seed trained, how many did not and why, and no mean" if self._troubled else "",
            f"framed: the best {self.axis(self.along)}, by {self.report.judged_by}" if self.along else "",
        ]
        if self.report.tuned:
            parts.append(f"each at its best {' and '.join(short_names(self.report.spec.nuisance).values())}")
        return "; ".join(filter(None, parts))


def make(
    workdir: str | os.PathLike,
    metric: str | None = None,
    where: str = "",
    x: str | None = None,
    y: str | None = None,
    facet: str | None = None,
) -> Map:
    """The map of a sweep.

    Args:
      metric: of experiments.metrics; the table's own by default.
      where: as experiments.selection reads it, as are the names of fields.
      x, y, facet: fields; by default what the table has as columns, what it retunes, and what else it tells apart.

    Raises: UserError with every mistake.
    """
    manifest = records.sweep(workdir)
    spec, fields = table_of(manifest), Fields.of((manifest, records.load(workdir)))
    x, y, panels = _axes(spec, fields, x, y, facet)
    view = select(workdir, where, ",".join((*panels, y)), x, metric)
    along = next((name for name in (y, x) if name in spec.nuisance), "")
    (report,) = view.reports.values()
    arms = {panel: {} for panel in dict.fromkeys(row[:-1] for row in view.rows)}
    for place, arm in report.arms.items():
        arms[place.row[:-1]][place.row[-1], place.column[0]] = arm
    xs, ys = [x for (x,) in view.panels], list(dict.fromkeys(row[-1] for row in view.rows))
    heats = {panel: heat(xs, ys, found) for panel, found in arms.items()}
    best = {panel: _best(report, heats[panel], found, along == y) for panel, found in arms.items() if along}
    marked = {panel: dataclasses.replace(each, best=best.get(panel, frozenset())) for panel, each in heats.items()}
    return Map(view, x, y, panels, along, marked)


def _axes(
    spec: Table, fields: Fields, x: str | None, y: str | None, facet: str | None
) -> tuple[str, str, tuple[str, ...]]:
    """The fields of x, of y, and of panels."""
    chosen = {flag: fields.axis(name, flag) for flag, name in (("x", x), ("y", y)) if name is not None}
    panels = None if facet is None else fields.listed(facet, "facet")
    taken = {*chosen.values(), *(panels or ())}
    columns = spec.columns or spec.along
    known = dict.fromkeys((*spec.nuisance, *columns, *spec.rows, *spec.split))
    free = [name for name in known if name not in taken and len(fields.values.get(name, ())) > 1]
    for flag, first in (("y", spec.nuisance), ("x", columns)):
        if flag not in chosen and free:
            chosen[flag] = next((name for name in free if name in first), free[0])
            free.remove(chosen[flag])
    if len(set(chosen.values())) < 2 or set(chosen.values()) & {*(panels or ())}:
        raise UserError("x, y and facet: expected different fields that vary; name them with --x, --y and --facet")
    rest = tuple(name for name in (*spec.rows, *columns) if name in free)
    return chosen["x"], chosen["y"], rest if panels is None else panels


def _best(report: Report, squares: Heat, arms: Mapping[tuple, Arm], in_columns: bool) -> frozenset[tuple[int, int]]:
    """Of every column (or row), the square that a table would show; none where every seed of all squares went bad."""
    judged = metrics.column(report.workdir, report.frame, report.judged_by)
    found = set()
    for here in squares.x if in_columns else squares.y:
        mine = {place: arm for place, arm in arms.items() if place[in_columns] == here}
        scores, bad = {}, {}
        for place, arm in mine.items():
            cells = [trial.cell for trial in arm.trials.values()]
            status = report.frame.status[cells]
            scores[place] = judged[cells][status == "done"].dropna().tolist()
            bad[place] = int(status.isin(BAD).sum())
        choice = statistics.best_nuisance(scores, bad, report.spec.lower_is_better)
        if choice.tuned and not choice.hopeless and (scores[choice.value] or bad[choice.value]):
            found.add((squares.y.index(choice.value[0]), squares.x.index(choice.value[1])))
    return frozenset(found)
