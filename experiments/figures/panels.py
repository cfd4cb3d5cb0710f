"""The picture of a sweep's own figure: panels of lines with bands, or heat maps with their numbers. No global state."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from experiments.figure_spec import Figure
from experiments.figures import axes, squares
from experiments.figures.drawing import GREY, LINE, OKABE_ITO, STYLE, plain
from experiments.figures.series import Drawn, Line, seeds_of
from experiments.labels import pairs, short_names
from experiments.tables.faces import title
from experiments.tables.trials import ranks

COLOURS = OKABE_ITO[:7]  # without yellow, which no thin line shows on white
DASHES = ("-", (0, (5, 1.4)), (0, (1.4, 1.1)), (0, (6, 1.4, 1.4, 1.4)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "*", "d", "8")
WIDTH, ROW = 7.2, 2.1  # inches


def draw(figure: Figure, drawn: Sequence[Drawn]) -> Canvas:
    """The picture, as wide as a page; as wide as a column where it has one panel."""
    columns = min(figure.columns, len(drawn))
    rows, width = math.ceil(len(drawn) / columns), WIDTH if columns > 1 else WIDTH / 2
    styles = styles_of(figure, drawn)
    legend, across = handles(drawn, styles), 1
    if legend:
        across = max(1, min(len(legend), int(width / (0.5 + 0.062 * max(len(h.get_label()) for h in legend)))))
    heading = textwrap.wrap(figure.title or title(drawn[0].report), int(width * 13))
    method = textwrap.wrap(method_of(drawn), int(width * 15.5))
    top = 0.09 + LINE * (len(heading) + len(method))
    bottom = 0.06 + LINE * math.ceil(len(legend) / across)
    height = top + ROW * rows + bottom
    with rc_context(STYLE):
        canvas = Canvas(figsize=(width, height), dpi=200)
        FigureCanvasAgg(canvas)
        canvas.set_layout_engine("constrained", rect=(0, bottom / height, 1, 1 - (top + bottom) / height))
        places = canvas.subplots(rows, columns, squeeze=False).flat
        for ax, one in zip(places, drawn, strict=False):
            axes.draw(ax, one, figure, drawn, styles)
        for ax in places[len(drawn) :]:
            ax.remove()
        write(canvas, heading, 0.07, fontsize=9, fontweight="bold")
        write(canvas, method, 0.08 + LINE * len(heading), color=GREY)
        canvas.legend(handles=legend, loc="lower center", ncols=across, frameon=False, handlelength=3.2)
    return canvas


def write(canvas: Canvas, lines: list[str], down: float, **style: Any) -> None:
    """Lines of text, `down` inches from the top."""
    width, height = canvas.get_size_inches()
    canvas.text(0.08 / width, 1 - down / height, plain("\n".join(lines)), va="top", **style)


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
                "color": COLOURS[i % len(COLOURS)],
                "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
                "marker": MARKERS[i % len(MARKERS)],
                "markeredgewidth": 0,
                "label": plain(name_of(row, fields, figure)),
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
