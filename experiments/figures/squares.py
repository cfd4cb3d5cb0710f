"""A heat map: one square per arm, its number in it; what went bad is grey and says so."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from experiments.figure_spec import Figure
from experiments.figures.series import Drawn
from experiments.figures.text import plain
from experiments.labels import say, short_names
from experiments.metrics import METRICS

COLOURS = {True: colormaps["viridis"], False: colormaps["viridis_r"], None: colormaps["viridis"]}  # by lower_is_better
BAD, EMPTY = "#D9D9D9", "#FFFFFF"
LIGHT = 0.45  # luminance over which text is black


def draw(ax: Axes, one: Drawn, figure: Figure, drawn: Sequence[Drawn]) -> None:
    """The squares of one panel; panels that show the same metric share their colours."""
    heat, form = one.content, METRICS[one.panel.y].format.replace(".3f", ".2f")  # as wide as a square
    low, high = limits(drawn, one.panel.y)
    colours = COLOURS[METRICS[one.panel.y].lower_is_better]
    for at, mean in np.ndenumerate(heat.mean):
        known = np.isfinite(mean)
        colour = colours((mean - low) / ((high - low) or 1)) if known else BAD if at in heat.trouble else EMPTY
        ax.add_patch(Rectangle((at[1] - 0.5, at[0] - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
        text = format(mean, form) if known else short(heat.trouble.get(at, "–"))
        ax.text(at[1], at[0], text, ha="center", va="center", fontsize=6, color=ink(colour), linespacing=0.9)
    ax.set_xlim(-0.5, len(heat.x) - 0.5)
    ax.set_ylim(-0.5, len(heat.y) - 0.5)
    for ticks, values in ((ax.set_xticks, heat.x), (ax.set_yticks, heat.y)):
        ticks(range(len(values)), [plain(figure.labels.get(value, say(value))) for value in values])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for label, field in ((ax.set_xlabel, one.panel.x), (ax.set_ylabel, one.panel.y_field)):
        label(plain(short_names([field])[field].replace("_", " ")))


def better(one: Drawn) -> str:
    """What the colours of a heat map say of better and worse."""
    return "" if METRICS[one.panel.y].lower_is_better is None else ", darker is better"


def limits(drawn: Sequence[Drawn], metric: str) -> tuple[float, float]:
    """The range of a metric over all heat maps of it."""
    of = [one.content.mean.ravel() for one in drawn if one.panel.kind == "heat" and one.panel.y == metric]
    means = np.concatenate(of)
    means = means[np.isfinite(means)]
    return (float(means.min()), float(means.max())) if means.size else (0.0, 1.0)


def short(trouble: str) -> str:
    """`stuck` where all seeds were, else `2/3` above `stuck`."""
    parts = [part.split() for part in trouble.split(", ")]
    if len(parts) == 1 and len(parts[0]) == 2 and len(set(parts[0][0].split("/"))) == 1:
        return parts[0][1]
    return "\n".join(word for part in parts for word in part)


def ink(colour: str | tuple) -> str:
    """Black on light squares, white on dark ones (relative luminance of Rec. 709)."""
    return "black" if np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) > LIGHT else "white"
