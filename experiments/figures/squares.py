"""A heat map: one square per arm, its number in it; what went bad is grey and says how many seeds did."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from experiments.figures.series import Drawn, Heat
from experiments.figures.text import plain
from experiments.metrics import METRICS, Metric

COLOURS = {True: colormaps["viridis"], False: colormaps["viridis_r"], None: colormaps["viridis"]}  # by lower_is_better
BAD = {"stuck": "#D9D9D9", "diverged": "#C4C4C4", "failed": "#EDEDED"}
EMPTY = "#FFFFFF"  # missing, or not planned
LIGHT = 0.45  # luminance over which text is black
FRAME = 0.08  # of a square, from its edge to the frame of the best


def draw(
    ax: Axes, heat: Heat, metric: Metric, limits: tuple[float, float], say: Callable[[Any], str], form: str = ".2f"
) -> None:
    """The squares of one panel, coloured within the limits; `form` is of numbers of three decimals."""
    for at, mean in np.ndenumerate(heat.mean):
        colour = colour_of(heat, at, metric, limits)
        ax.add_patch(Rectangle((at[1] - 0.5, at[0] - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
        text = format(mean, metric.format.replace(".3f", form)) if np.isfinite(mean) else said(heat.trouble.get(at))
        ax.text(at[1], at[0], text, ha="center", va="center", fontsize=6, color=ink(colour), linespacing=0.9)
        if at in heat.best:
            ax.add_patch(frame((at[1], at[0]), ink(colour)))
    ax.set_xlim(-0.5, len(heat.x) - 0.5)
    ax.set_ylim(-0.5, len(heat.y) - 0.5)
    for ticks, values in ((ax.set_xticks, heat.x), (ax.set_yticks, heat.y)):
        ticks(range(len(values)), [plain(say(value)) for value in values])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def frame(centre: tuple[float, float], colour: str) -> Rectangle:
    """What stands round the best square of a column."""
    side, corner = 1 - 2 * FRAME, (centre[0] - 0.5 + FRAME, centre[1] - 0.5 + FRAME)
    return Rectangle(corner, side, side, facecolor="none", edgecolor=colour, linewidth=1.1, label="best")


def colour_of(heat: Heat, at: tuple[int, int], metric: Metric, limits: tuple[float, float]) -> str:
    """The colour of a square: of its number, else of what went bad first."""
    if np.isfinite(heat.mean[at]):
        low, high = limits
        return to_hex(COLOURS[metric.lower_is_better]((heat.mean[at] - low) / ((high - low) or 1)))
    words = heat.trouble.get(at, "").replace(",", "").split()
    return next((BAD[word] for word in words if word in BAD), EMPTY)


def better(one: Drawn) -> str:
    """What the colours of a heat map say of better and worse."""
    return "" if METRICS[one.panel.y].lower_is_better is None else ", darker is better"


def limits(drawn: Sequence[Drawn], metric: str) -> tuple[float, float]:
    """The range of a metric over all heat maps of it."""
    return span(one.content for one in drawn if one.panel.kind == "heat" and one.panel.y == metric)


def span(heats: Iterable[Heat]) -> tuple[float, float]:
    """The range of the numbers of heat maps."""
    means = np.concatenate([heat.mean.ravel() for heat in heats] or [np.empty(0)])
    means = means[np.isfinite(means)]
    return (float(means.min()), float(means.max())) if means.size else (0.0, 1.0)


def said(trouble: str | None) -> str:
    """`2/3` above `stuck`; a dash where nothing was planned."""
    return "\n".join(word for part in trouble.split(", ") for word in part.split(" ", 1)) if trouble else "–"


def ink(colour: str | tuple) -> str:
    """Black on light squares, white on dark ones (relative luminance of Rec. 709)."""
    return "black" if np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) > LIGHT else "white"
