"""Curves on paper: panels with thin seeds, means and bands, where seeds went bad, entropies and the noise floor."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from experiments.figures.curves import Curve
from experiments.figures.looks import looks
from experiments.figures.page import GREY, SMALL, page
from experiments.figures.plot import Floor, Plot
from experiments.figures.text import plain, wrap
from experiments.view import Line

BAND = "mean and 95 % t band over {seeds}, thin lines are seeds"
CROSS = {"marker": "X", "markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.7}
SQUARE = {"marker": "s", "markersize": 4.6, "markerfacecolor": "white", "markeredgewidth": 1.1}
ENDS = {"diverged": (CROSS, "a seed diverged"), "stuck": (SQUARE, "a seed ended stuck")}
BEAM = Path([(-0.4, -1), (0.4, -1), (0, -1), (0, 1), (-0.4, 1), (0.4, 1)], [1, 2, 1, 2, 1, 2])  # a bar with its caps
FLOOR = 1.025  # where the noise floor stands, in widths of a panel
FEW = 30  # times from the lowest to the highest value: too few powers of ten to read a scale by


def draw(plot: Plot) -> Figure:
    """The figure of a plot: for a column of a paper when it has one panel, for a page's width when it has more."""
    panels, styles = plot.view.panels, styles_of(plot)
    with page(len(panels), plot.title, plot.method(BAND), handles(plot, styles)) as sheet:
        troubles = [wrap("; ".join(plot.troubles(panel)), sheet.room, SMALL) for panel in panels]
        for ax, panel, lines in zip(sheet.axes, panels, troubles, strict=True):
            for curve in plot.within(panel):
                _draw(ax, curve, styles[curve.line])
            for reference, value in plot.references(panel):
                ax.axhline(value, color=GREY, linewidth=0.9, linestyle=reference.dash, zorder=0)
            ax.set_title(plain(plot.view.panel_name(panel)), pad=4 + 8.2 * max(map(len, troubles)))
            place = {"transform": ax.transAxes, "ha": "center", "va": "bottom"}
            ax.text(0.5, 1.015, plain("\n".join(lines)), fontsize=SMALL, color=GREY, **place)
        _scale(sheet.axes[0], plot)
        for ax, panel in zip(sheet.axes, panels, strict=True):
            _ends(ax, plot, panel, styles)
            for number, floor in enumerate(plot.floors):
                _floor(ax, floor, panel, number)
        for ax in sheet.bottom:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("\n".join(wrap(plot.x_label, sheet.room, 8)))
        for ax in sheet.axes[:: sheet.columns]:
            ax.set_ylabel(plain("\n".join(wrap(plot.y_label, sheet.tall, 8))))
    return sheet.figure


def styles_of(plot: Plot) -> dict[Line, dict]:
    """Per line its look: colour and dash by the first field that differs, marker by the others and by the sweep."""
    first, rest = plot.view.differ[:1], plot.view.differ[1:]
    keys = [(*(tuple(line.row[i] for i in part) for part in (first, rest)), line.sweeps) for line in plot.lines]
    keys = [(one, (others, sweeps)) for one, others, sweeps in keys]
    found = looks(keys)
    return {line: found[key] for line, key in zip(plot.lines, keys, strict=True)}


def _draw(ax: Axes, curve: Curve, style: Mapping) -> None:
    color = style["color"]
    for x, seed in zip(curve.seed_x, curve.seeds, strict=True):
        ax.plot(x, seed, color=color, linewidth=0.5, alpha=0.4, zorder=2)
    ax.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.13, linewidth=0, zorder=1)
    ax.plot(curve.x, curve.mean, **style, zorder=3)
    known = np.pad(np.isfinite(curve.mean), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():
        ax.plot(curve.x[alone], curve.mean[alone], color=color, marker=".", linestyle="", zorder=3)


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
    if plot.x in ("tokens", "flops"):
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.margins(x=0.01)
    if plot.log_y:
        ax.set_yscale("log")
    if plot.log_y and high < FEW * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(low, high)


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
            Line2D([], [], **bar, label=f"noise floor, ± {' and ± '.join(f'{f.sd:.2g}' for f in plot.floors)}")
        )
    return found
