"""The picture of a sweep's own figure: panels of lines with bands, or heat maps with their numbers. No global state."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from experiments.figure_spec import Figure
from experiments.figures import axes, squares
from experiments.figures.looks import DASHES, MARKERS, OKABE_ITO
from experiments.figures.page import GREY, page
from experiments.figures.series import Drawn, Line, seeds_of
from experiments.labels import pairs, short_names
from experiments.tables.faces import title
from experiments.tables.trials import ranks

ROW = 2.1  # inches


def draw(figure: Figure, drawn: Sequence[Drawn]) -> Canvas:
    """The picture, as wide as a page; as wide as a column where it has one panel."""
    styles = styles_of(figure, drawn)
    heading = figure.title or title(drawn[0].report)
    legend = handles(drawn, styles)
    with page(len(drawn), heading, [method_of(drawn)], legend, figure.columns, ROW, False, False) as sheet:
        for ax, one in zip(sheet.axes, drawn, strict=True):
            axes.draw(ax, one, figure, drawn, styles)
    return sheet.figure


def styles_of(figure: Figure, drawn: Sequence[Drawn]) -> dict[tuple, dict]:
    """Per row of any panel of lines its colour, dash, marker and name: the same in all panels."""
    of_lines = [one for one in drawn if one.panel.kind == "lines"]
    found = dict.fromkeys((one.report.spec.rows, line.row) for one in of_lines for line in one.content)
    styles: dict[tuple, dict] = {}
    for fields in dict.fromkeys(fields for fields, _ in found):
        rows, order = [row for names, row in found if names == fields], of_lines[0].report.manifest["axes"]
        for row in sorted(rows, key=lambda row, fields=fields, order=order: ranks(row, fields, order)):
            i = len(styles)
            styles[row] = {
                "color": OKABE_ITO[i % len(OKABE_ITO)],
                "linestyle": DASHES[i // len(OKABE_ITO) % len(DASHES)],
                "marker": MARKERS[1:][i % len(MARKERS[1:])],
                "markeredgewidth": 0,
                "label": name_of(row, fields, figure),
            }
    return styles


def name_of(row: tuple, fields: Sequence[str], figure: Figure) -> str:
    """A row in words: `Pre-LN · num_layers=12`; a name needs no field before it."""
    named = zip(row, fields, strict=True)
    words = (value if isinstance(value, str) else pairs({field: value}) for value, field in named)
    return " · ".join(figure.labels.get(value, word) for value, word in zip(row, words, strict=True)) or "all cells"


def handles(drawn: Sequence[Drawn], styles: Mapping[tuple, dict]) -> list[Line2D]:
    """The legend: each line once, and the cross where there is one."""
    found = [Line2D([], [], **style, markersize=3.6) for style in styles.values() if len(styles) > 1]
    if any(x is not None for line in lines_of(drawn) for x in line.trouble):
        cross = Line2D([], [], color=GREY, marker="x", markersize=5, linestyle="", label="stuck or diverged")
        found.append(cross)
    return found


def lines_of(drawn: Sequence[Drawn]) -> list[Line]:
    """The lines of all panels of lines."""
    return [line for one in drawn if one.panel.kind == "lines" for line in one.content]


def method_of(drawn: Sequence[Drawn]) -> str:
    """How the lines and numbers were made."""
    seeds, first = seeds_of(drawn), drawn[0].report
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    kinds = {one.panel.kind for one in drawn}
    lines = f"mean and 95 % t band over {span} seeds" if "lines" in kinds else ""
    heats = dict.fromkeys((axes.measured(one), squares.better(one)) for one in drawn if one.panel.kind == "heat")
    squared = [f"squares: {name}, mean over {span} seeds{better}" for name, better in heats]
    tuned = dict.fromkeys(n for one in drawn if one.report.arms for n in tuned_in(one))
    best = f"each arm at its best {' and '.join(short_names(tuned).values())}" if tuned else ""
    bad = (
        "no mean where a seed stuck or diverged"
        if any(arm.bad for o in drawn for arm in o.report.arms.values())
        else ""
    )
    size = f"size {first.manifest['size']}" if first.manifest.get("size") else ""
    return "; ".join(part for part in (lines, *squared, best, bad, size) if part)


def tuned_in(one: Drawn) -> Sequence[str]:
    """The nuisance fields that arms of a panel chose a value of."""
    return one.report.spec.nuisance if any(arm.choice.tuned for arm in one.report.arms.values()) else ()
