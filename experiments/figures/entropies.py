"""Losses that need no model of the text, to hold curves of losses against."""

from dataclasses import dataclass

from experiments.figures.curves import cells_of
from experiments.metrics.cells import describe
from experiments.view import View


@dataclass(frozen=True)
class Reference:
    """A loss that is known of the data: its field in sweep.json, its name, and its dash on paper."""

    field: str
    name: str
    dash: tuple


REFERENCES = (
    Reference("unigram_loss", "unigram entropy", (0, (6, 3))),
    Reference("floor_loss", "entropy rate H*", (0, (1, 2))),
    Reference("bigram_loss", "bigram loss", (0, (1, 2))),  # where the entropy rate is unknown
)


def references(view: View) -> dict[tuple, list[tuple[Reference, float]]]:
    """Per panel, what is known of the data of its cells."""
    found: dict[tuple, dict[tuple[Reference, float], None]] = {}
    for _, report, arm in view.arms:
        of_data = report.frame.filter(like="data.").loc[sorted(cells_of(arm))]
        for row in of_data.to_dict("records"):
            about = describe(report.manifest["data"], row)
            known = [each for each in REFERENCES if about.get(each.field) is not None]
            known = [each for each in known if each.field != "bigram_loss" or about.get("floor_loss") is None]
            here = found.setdefault(arm.place.column, {})
            here.update({(each, float(about[each.field])): None for each in known})
    return {panel: list(known) for panel, known in found.items()}
