"""Maps and profiles on paper: squares of two fields, numbers over layers and steps, numbers over layers."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from experiments.figures import squares
from experiments.figures.depths import Depth, Depths
from experiments.figures.drawing import draw_mean, few_decades, styles_of
from experiments.figures.heads import Heads
from experiments.figures.page import PAGE, ROW, page, room
from experiments.figures.stability import Map
from experiments.figures.text import plain, wrap

SQUARE = 0.3  # inches of the height of a square
WIDE = 0.42  # inches across which a number of three decimals needs
TALL = 1.75  # inches of text beside a panel
COLOUR_BAR = 1.0  # inches
BESIDE = 0.45  # inches of a panel that are not squares
NARROW = 0.32  # inches of a square at least
FEW = 4  # steps that all have their ticks
MOST = 5  # panels beside each other
COLOURS, BAD = colormaps["viridis"], "#E4E4E4"


def stability(shown: Map) -> Figure:
    """The figure of a stability map; the first field that panels differ in goes from left to right."""
    rests = list(dict.fromkeys(panel[1:] for panel in shown.heats))
    panels = sorted(shown.heats, key=lambda panel: rests.index(panel[1:]))
    firsts, first = len({panel[:1] for panel in panels}), next(iter(shown.heats.values()))
    most = max(1, min(firsts, int(PAGE / (BESIDE + NARROW * len(first.x)))))
    heads = Heads.of([shown.name(panel) for panel in panels], [""] * len(panels), room(len(panels), most))
    row = 0.75 + SQUARE * len(first.y) + heads.tall
    with page(len(panels), shown.title, [shown.method], (), most, row) as sheet:
        heads.draw(sheet.axes)
        square = (sheet.figure.get_figwidth() / sheet.columns - BESIDE) / len(first.x)
        form, limits = ".3f" if square > WIDE else ".2f", squares.span(shown.heats.values())
        for ax, panel in zip(sheet.axes, panels, strict=True):
            squares.draw(ax, shown.heats[panel], shown.metric, limits, shown.view.fields.say, form)
        for ax in sheet.bottom:
            ax.set_xlabel(plain(shown.axis(shown.x)))
            ax.tick_params(labelbottom=True)
        for ax in sheet.left:
            ax.set_ylabel(plain("\n".join(wrap(shown.axis(shown.y), row - 0.4, 8))))
    return sheet.figure


def layers(shown: Depths) -> Figure:
    """The figure of a diagnostic over layers and steps: a panel for each arm, one scale of colours."""
    across = len(shown.view.panels)
    most = across if 1 < across <= MOST else 3
    low, high, log = shown.span(at_end=False)
    scale = (LogNorm if log else Normalize)(low, high)
    method = shown.method("colour: mean over {seeds}; grey: from where a seed went bad")
    names, troubles = [shown.name(arm) for arm in shown.arms], [arm.trouble for arm in shown.arms]
    heads = Heads.of(names, troubles, room(len(names), most) - COLOUR_BAR / most)
    with page(len(names), shown.title, method, (), most, 1.6 + heads.tall, sharey=False) as sheet:
        heads.draw(sheet.axes)
        meshes = [_mesh(ax, arm, scale) for ax, arm in zip(sheet.axes, shown.arms, strict=True)]
        for ax in sheet.bottom:
            ax.set_xlabel("step")
            ax.tick_params(labelbottom=True)
        for ax in sheet.left:
            ax.set_ylabel("layer")
        bar = sheet.figure.colorbar(meshes[0], ax=sheet.axes, pad=0.015, aspect=28, fraction=0.05)
        bar.set_label(plain("\n".join(wrap(shown.words, 1.5, 8))))
        bar.outline.set_visible(False)
    return sheet.figure


def _mesh(ax: Axes, arm: Depth, scale: Normalize):
    """The squares of an arm, each in the middle of where it was measured."""
    ax.set_facecolor(BAD)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
    if len(arm.step) <= FEW:
        ax.set_xticks(arm.step, [str(step) for step in arm.step])
    steps, layer = (edges(places) for places in (arm.step, arm.layer))
    return ax.pcolormesh(steps, layer, np.ma.masked_invalid(arm.mean.T), norm=scale, cmap=COLOURS)


def edges(places: np.ndarray) -> np.ndarray:
    """[N + 1]: half-way between places [N], and as far beyond the first and the last."""
    if len(places) < 2:
        return np.array([places[0] - 0.5, places[0] + 0.5]) if len(places) else np.zeros(1)
    middle = (places[1:] + places[:-1]) / 2
    return np.array([2 * places[0] - middle[0], *middle, 2 * places[-1] - middle[-1]])


def profile(shown: Depths) -> Figure:
    """The figure of a diagnostic over layers at the end of training: a line for each arm."""
    lines = sorted({arm.line for arm in shown.arms}, key=lambda line: shown.view.rows.index(line.row))
    styles, panels = styles_of(shown.view, lines), shown.view.panels
    legend = [Line2D([], [], **styles[line] | {"markevery": None}, label=shown.view.name(line)) for line in lines]
    low, high, log = shown.span(at_end=True)
    method = shown.method(
        ("geometric " if log else "") + "mean and 95 % t band over {seeds} at the last step, thin lines are seeds"
    )
    heads = Heads.of(list(map(shown.view.panel_name, panels)), _troubles(shown), room(len(panels)))
    legend, row = legend if len(lines) > 1 else (), ROW + heads.tall
    with page(len(panels), shown.title, method, legend, row=row, sharex=False) as sheet:
        heads.draw(sheet.axes)
        for ax, panel in zip(sheet.axes, panels, strict=True):
            for arm in (arm for arm in shown.arms if arm.panel == panel and len(arm.step)):
                _draw_profile(ax, arm, styles[arm.line], log)
            ax.margins(x=0.02)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
            ax.set_xlabel("layer")
        if log:
            sheet.axes[0].set_yscale("log")
            sheet.axes[0].set_ylim(low / 1.4, high * 1.4)
            few_decades(sheet.axes[0], low, high)
        for ax in sheet.left:
            ax.set_ylabel(plain("\n".join(wrap(shown.words, TALL, 8))))
    return sheet.figure


def _draw_profile(ax: Axes, arm: Depth, style: dict, log: bool) -> None:
    mean, low, high = arm.profile(log)
    ax.plot(arm.layer, arm.seeds[:, -1].T, color=style["color"], linewidth=0.5, alpha=0.4, zorder=2)
    ax.fill_between(arm.layer, low, high, color=style["color"], alpha=0.13, linewidth=0, zorder=1)
    draw_mean(ax, arm.layer, mean, style)


def _troubles(shown: Depths) -> list[str]:
    """Per panel `post 3/3 stuck`: the arms of which not every seed trained."""
    bad = [(arm.panel, f"{shown.view.name(arm.line)} {arm.trouble}") for arm in shown.arms if arm.trouble]
    return ["; ".join(words for panel, words in bad if panel == here) for here in shown.view.panels]
