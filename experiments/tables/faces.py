"""What each place of a table says, in words and digits, before any format: trouble first, then numbers."""

import math
from dataclasses import dataclass

from experiments.labels import say
from experiments.records import ABSENT
from experiments.tables.arms import BAD, Arm, Report

NOT_PLANNED = "–"
MARKS = {"better": "▲", "worse": "▼", "not separated": "≈"}


@dataclass(frozen=True)
class Face:
    """One place of the table.

    `trouble` counts seeds that went bad or are missing (`1/2 stuck`); `number` and `spread` are the mean and the half
    width of its interval, of the survivors alone when `survivors`; `verdict` compares with the baseline; `nuisance` is
    the best value of the nuisance fields, a star at the edge of the grid; `theory` is what was expected. `cells` are
    those that the number is made of. `quoted` is a published text, and then there is nothing else.
    """

    trouble: str = ""
    number: str = ""
    spread: str = ""
    survivors: bool = False
    verdict: str = ""
    nuisance: str = ""
    theory: str = ""
    quoted: str = ""
    cells: tuple[str, ...] = ()

    @property
    def estimate(self) -> str:
        """`1.851 ± 0.012`, named as the survivors' where it is."""
        return f"{'survivors ' * self.survivors}{self.number}{f' ± {self.spread}' * bool(self.spread)}"

    @property
    def beside(self) -> str:
        """`(theory 0)`, or nothing."""
        return f"(theory {self.theory})" if self.theory else ""


def title(report: Report) -> str:
    """The title of the table, or the sweep's name, on one line."""
    return " ".join((report.spec.title or report.manifest["name"]).split())


def face(arm: Arm | None, report: Report, theory: str = "") -> Face:
    """The face of an arm; of a place that the sweep did not plan, a dash."""
    if arm is None:
        return Face(trouble=NOT_PLANNED, theory=theory)
    shown, bad = arm.estimate, [f"{arm.counts[status]}/{arm.planned} {status}" for status in BAD if arm.counts[status]]
    absent = [f"{status} {arm.counts[status]}/{arm.planned}" for status in ABSENT if arm.counts[status]]
    digits = arm.described.format
    return Face(
        trouble=", ".join(bad + absent),
        number=signed(format(shown.mean, digits)) if shown.n else "",
        spread="" if math.isnan(shown.half_width) else format(shown.half_width, digits),
        survivors=bool(bad and shown.n),
        verdict=arm.comparison.verdict if arm.comparison else "",
        nuisance=nuisance(arm, report),
        theory=theory,
        cells=tuple(cell for trial in arm.trials.values() for cell in trial.cells),
    )


def signed(number: str) -> str:
    """A number in digits; one that rounds to zero has no sign."""
    return number if number.strip("-0.") else number.lstrip("-")


def nuisance(arm: Arm, report: Report) -> str:
    """`3e-3*`: the value an arm is judged at; `all` when every value went bad; nothing when no arm was tuned."""
    if not report.tuned or arm.absent == arm.planned:
        return ""
    if report.spec.columns_of and arm.place.column[0] != report.spec.columns_of[0].heading:
        return ""  # chosen once for the row
    if arm.choice.hopeless:
        return "all"
    values = zip(arm.choice.value, arm.choice.edge, strict=True)
    return ",".join(f"{say(value)}{'*' * edge}" for value, edge in values)
