"""One panel of a figure: lines with their bands and crosses over a field or over layers, or a heat map."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from experiments.figure_spec import INDEX, Figure
from experiments.figures import squares
from experiments.figures.page import GREY
from experiments.figures.series import Drawn, Line
from experiments.figures.text import plain
from experiments.labels import pairs, say, short_names
from experiments.metrics import METRICS
from experiments.tables.caption import unit
from experiments.tables.trials import ranks

MARKS, TICKS = 7, 8  # at most: markers along a line, named places along a field
QUANTITIES = {
    "stream": "mean square of the stream",
    "branch": "mean square of the branch",
    "turn": "1 - cos(stream before, after)",
    "spread": "rank residual of the stream",
    "own_share": "own share of the stream",
    "attention_entropy": "attention entropy (nats)",
    "attention_logit_max": "largest attention logit",
    "attention_rank": "rank of the logits of a head",
    "angle": "angular distance (units of π)",
    "layer_loss": "loss with the layer deleted, difference (nats)",
    "update_sgd": "update of an SGD step",
    "update_sign": "update of a sign step",
    "amplification": "amplification",
}
BETWEEN = ("stream", "spread")  # index 0 is before the first sublayer
SUBLAYERS = (*BETWEEN, "branch", "turn", "own_share")  # index 0 is the first sublayer; of all others, the first layer


def draw(ax: Axes, one: Drawn, figure: Figure, drawn: Sequence[Drawn], styles: Mapping[tuple, dict]) -> None:
    """One set of axes."""
    lost = lost_lines(one, styles)
    ax.set_title(plain("\n".join(textwrap.wrap(one.panel.title or pairs(one.panel.at), 36))), pad=5 + 7 * len(lost))
    ax.text(0.5, 1.02, plain("\n".join(lost)), transform=ax.transAxes, ha="center", fontsize=6, color=GREY)
    if one.panel.kind == "heat":
        metric, shared = METRICS[one.panel.y], squares.limits(drawn, one.panel.y)
        squares.draw(ax, one.content, metric, shared, lambda value: figure.labels.get(value, say(value)))
        ax.set_xlabel(field_name(one.panel.x))
        ax.set_ylabel(field_name(one.panel.y_field))
        return
    at = positions(ax, one)
    for number, line in enumerate(one.content):
        draw_line(ax, line, at, styles[line.row], number)
    ax.set_xlabel(x_name(one))
    ax.set_ylabel(plain("\n".join(textwrap.wrap(measured(one), 34))))
    scale(ax, one)
    crosses(ax, one, at, styles)
    ax.margins(x=0.04)


def lost_lines(one: Drawn, styles: Mapping[tuple, dict]) -> list[str]:
    """`post 3/3 stuck`: the lines that are not drawn at all, in at most two lines of text."""
    if one.panel.kind == "heat":
        return []
    lost = [f"{styles[line.row]['label']} {line.trouble[None]}" for line in one.content if None in line.trouble]
    return textwrap.wrap("; ".join(lost), 52, max_lines=2, placeholder=" ...")


def measured(one: Drawn) -> str:
    """What is on the y axis, with its unit."""
    name = one.panel.y
    if name not in METRICS:
        return QUANTITIES.get(name, name.replace("gradient.", "gradient norm of ").replace("radial.", "cosine of "))
    short = unit(one.report.manifest, name)
    return METRICS[name].name if len(short) > 24 else f"{METRICS[name].name} ({short})"


def x_name(one: Drawn) -> str:
    """What is on the x axis."""
    if one.panel.x == INDEX:
        return "sublayer" if one.panel.y in SUBLAYERS else "layer"
    return field_name(one.panel.x)


def field_name(field: str) -> str:
    """`learning rate`."""
    return plain(short_names([field])[field].replace("_", " "))


def positions(ax: Axes, one: Drawn) -> dict[Any, float]:
    """Where each x stands: numbers at themselves, what a scale cannot show one after the other."""
    xs = list(dict.fromkeys(x for line in one.content for x in line.x))
    if one.panel.x == INDEX:
        first = 0 if one.panel.y in BETWEEN else 1
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return {x: x + first for x in xs if x + first > 0 or not one.panel.log_x}
    number = all(isinstance(x, int | float) and not isinstance(x, bool) and (x > 0 or not one.panel.log_x) for x in xs)
    order = sorted(xs, key=lambda x: ranks((x,), (one.panel.x,), one.report.manifest["axes"]))
    at = {x: float(x) for x in xs} if number else {x: float(i) for i, x in enumerate(order)}
    if number and one.panel.log_x:
        ax.set_xscale("log")
    ticks = list(at)[:: math.ceil(len(at) / TICKS)]
    ax.set_xticks([at[x] for x in ticks], [plain(say(x)) for x in ticks])
    ax.set_xticks([], minor=True)
    return at


def draw_line(ax: Axes, line: Line, at: Mapping[Any, float], style: Mapping[str, Any], number: int) -> None:
    """Mean, band, and a bar where a point stands alone; markers of many points are spread."""
    placed = [i for i, value in enumerate(line.x) if value in at]
    x, mean, low, high = (
        np.array([at[line.x[i]] for i in placed]),
        *(a[placed] for a in (line.mean, line.low, line.high)),
    )
    every = max(1, math.ceil(len(x) / MARKS))
    ax.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0, zorder=1)
    ax.plot(x, mean, **style, markersize=3.4, markevery=(number % every, every), zorder=3)
    known = np.pad(np.isfinite(mean), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    ax.vlines(x[alone], low[alone], high[alone], color=style["color"], linewidth=0.8, zorder=2)


def scale(ax: Axes, one: Drawn) -> None:
    """Logarithmic axes where the panel asks for them, over what the means span."""
    if one.panel.x == INDEX and one.panel.log_x:
        ax.set_xscale("log")
    low, high = one.panel.shown or (0, np.inf)
    means = np.concatenate([line.mean for line in one.content] or [np.empty(0)])
    means = means[np.isfinite(means) & (means > low) & (means < high)]
    if one.panel.log_y and means.size:
        ax.set_yscale("log")
        ax.set_ylim(means.min() / 1.4, means.max() * 1.4)
        if means.max() / means.min() < 30:  # too few powers of ten to read it by
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())


def crosses(ax: Axes, one: Drawn, at: Mapping[Any, float], styles: Mapping[tuple, dict]) -> None:
    """Crosses along the bottom where an arm had a bad seed, those of one x above each other."""
    heights: dict[Any, int] = {}
    for line in one.content:
        for x in (x for x in line.trouble if x is not None):
            up = 0.035 + 0.055 * heights.get(x, 0)
            heights[x] = heights.get(x, 0) + 1
            mark = {"color": styles[line.row]["color"], "marker": "x", "markersize": 4.5, "markeredgewidth": 1.3}
            ax.plot([at[x]], [up], **mark, linestyle="", transform=ax.get_xaxis_transform(), zorder=5, clip_on=False)
