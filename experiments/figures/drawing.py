"""Curves on paper: panels with thin seeds, means and bands, where seeds went bad, entropies and the noise floor."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from experiments.figures.curves import Curve
from experiments.figures.floors import Floor, two_digits
from experiments.figures.heads import Heads
from experiments.figures.looks import looks
from experiments.figures.page import GREY, ROW, page, room
from experiments.figures.plot import Plot
from experiments.figures.text import plain, wrap
from experiments.view import Line, View

BAND = "{mean} and 95 % t band over {seeds}, thin lines are seeds"
BESIDE = 1.75  # inches of text beside a panel
CROSS = {"marker": "X", "markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.7}
SQUARE = {"marker": "s", "markersize": 4.6, "markerfacecolor": "white", "markeredgewidth": 1.1}
ENDS = {"diverged": (CROSS, "a seed diverged"), "stuck": (SQUARE, "a seed ended stuck")}
BEAM = Path([(-0.4, -1), (0.4, -1), (0, -1), (0, 1), (-0.4, 1), (0.4, 1)], [1, 2, 1, 2, 1, 2])  # a bar with its caps
FLOOR = 1.018  # where the noise floor stands, in widths of a panel
POINTS = 12  # of a line at most, for each to have its dot
FEW = 30  # times from the lowest to the highest value: too few powers of ten to read a scale by


def draw(plot: Plot) -> Figure:
    """The figure of a plot: for a column of a paper when it has one panel, for a page's width when it has more."""
    panels, styles = plot.view.panels, styles_of(plot.view, plot.lines)
    across = room(len(panels))
    names, troubles = zip(*((plot.view.panel_name(p), "; ".join(plot.troubles(p))) for p in panels), strict=True)
    heads = Heads.of(names, troubles, across)
    with page(len(panels), plot.title, plot.method(BAND), handles(plot, styles), row=ROW + heads.tall) as sheet:
        heads.draw(sheet.axes)
        for ax, panel in zip(sheet.axes, panels, strict=True):
            for curve in plot.within(panel):
                _draw(ax, curve, styles[curve.line])
            for reference, value in plot.references(panel):
                ax.axhline(value, color=GREY, linewidth=0.9, linestyle=reference.dash, zorder=0)
        _scale(sheet.axes[0], plot)
        for ax, panel in zip(sheet.axes, panels, strict=True):
            _ends(ax, plot, panel, styles)
            for number, floor in enumerate(plot.floors):
                _floor(ax, floor, panel, number)
        for ax in sheet.bottom:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("\n".join(wrap(plot.x_label, across, 8)))
        for ax in sheet.left:
            ax.set_ylabel(plain("\n".join(wrap(plot.y_label, BESIDE, 8))))
    return sheet.figure


def styles_of(view: View, lines: Sequence[Line]) -> dict[Line, dict]:
    """Per line its look: colour and dash by the first field that differs, marker by the others and by the sweep."""
    first, rest = view.differ[:1], view.differ[1:]
    keys = [(tuple(line.row[i] for i in first), (*(line.row[i] for i in rest), line.sweeps)) for line in lines]
    found = looks(keys)
    return {line: found[key] for line, key in zip(lines, keys, strict=True)}


def _draw(ax: Axes, curve: Curve, style: Mapping) -> None:
    color = style["color"]
    for x, seed in zip(curve.seed_x, curve.seeds, strict=True):
        ax.plot(x, seed, color=color, linewidth=0.5, alpha=0.4, zorder=2)
    ax.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.13, linewidth=0, zorder=1)
    draw_mean(ax, curve.x, curve.mean, style)


def draw_mean(ax: Axes, x: np.ndarray, mean: np.ndarray, style: Mapping) -> None:
    """The line of means; few points, and those that stand alone, as dots too."""
    if not np.isfinite(mean).any():
        return  # Matplotlib cannot spread markers over no point
    ax.plot(x, mean, **style, zorder=3)
    known = np.pad(np.isfinite(mean), 1)
    seen = (known[1:-1] & ~known[:-2] & ~known[2:]) | (len(x) <= POINTS)
    if seen.any():
        ax.plot(x[seen], mean[seen], color=style["color"], marker=".", markersize=4, linestyle="", zorder=3)


def _ends(ax: Axes, plot: Plot, panel: tuple, styles: Mapping[Line, dict]) -> None:
    """Where seeds went bad; what is outside of the panel stands on its edge."""
    low, high = ax.get_ylim()
    for curve in plot.within(panel):
        for end in curve.ends:
            mark, color = ENDS[end.status][0], styles[curve.line]["color"]
            inside = np.clip(end.value, low, high)
            ax.plot(end.x, inside, **{"color": color} | mark, linestyle="", zorder=5, clip_on=False)


def _floor(ax: Axes, floor: Floor, panel: tuple, number: int) -> None:
    """A bar from mean - SD to mean + SD beside the panel, at the mean of where the curves end."""
    if panel not in floor.levels:
        return
    level = floor.levels[panel]
    caps = {"capsize": 2.2, "capthick": 1.1, "elinewidth": 1.1, "color": GREY, "clip_on": False, "zorder": 4}
    place = {"transform": ax.get_yaxis_transform()}
    ax.errorbar(FLOOR + 0.03 * number, level, floor.sd, **caps, **place, label="noise floor", in_layout=False)


def _scale(ax: Axes, plot: Plot) -> None:
    """The same axes for all panels."""
    low, high = plot.y_range
    if plot.log_x:
        ax.set_xscale("log")
    elif plot.x == "step":
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if plot.x in ("tokens", "flops"):
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.margins(x=0.01)
    if plot.log_y:
        ax.set_yscale("log")
        few_decades(ax, low, high)
    ax.set_ylim(low, high)


def few_decades(ax: Axes, low: float, high: float) -> None:
    """Ticks of a logarithmic axis of y that has too few powers of ten to read it by."""
    if high < FEW * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def handles(plot: Plot, styles: Mapping[Line, dict]) -> list[Line2D]:
    """The legend: each line, each entropy, each way of going bad and the noise floor, once."""
    found = [Line2D([], [], **styles[line] | {"markevery": None}, label=plot.view.name(line)) for line in plot.lines]
    references = {each.name: each for panel in plot.view.panels for each, _ in plot.references(panel)}
    found += [Line2D([], [], color=GREY, lw=0.9, ls=each.dash, label=name) for name, each in references.items()]
    ended = {end.status for curve in plot.curves for end in curve.ends}
    found += [
        Line2D([], [], ls="", label=name, **{"color": GREY} | mark) for s, (mark, name) in ENDS.items() if s in ended
    ]
    if plot.floors:
        bar = {"color": GREY, "marker": BEAM, "markersize": 7, "markeredgewidth": 1.1, "linestyle": ""}
        found.append(
            Line2D(
                [], [], **bar, label=f"noise floor, ± {' and ± '.join(two_digits(floor.sd) for floor in plot.floors)}"
            )
        )
    return found
