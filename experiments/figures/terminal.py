"""Curves in a terminal: a picture of dots and letters for each panel, and under it what each letter is and reaches.

Lines are told apart by letters on them, and by colour where there is colour. Names stand beside the picture, so that
none of them decides how it looks.
"""

import math
import string
from collections.abc import Mapping, Sequence

import numpy as np
import plotext
from matplotlib.ticker import LogLocator, MaxNLocator
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from experiments.figures.curves import Curve
from experiments.figures.floors import final
from experiments.figures.looks import OKABE_ITO
from experiments.figures.plot import Plot
from experiments.labels import count, printable
from experiments.metrics import METRICS
from experiments.screen import Screen
from experiments.view import Line

LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
COLOURS = ("default", *OKABE_ITO[1:])  # no black on what may be black
WIDE, HIGH = 100, 15  # characters of a picture, at most
GAP = 11  # characters between two letters of a line, at least
DASHES = {"unigram_loss": "┈", "floor_loss": "╌", "bigram_loss": "╌"}
BAND = "{mean} over {seeds}; at the end the mean with its 95 % t interval"
ENDS = {"diverged": ("✕", "a seed diverged"), "stuck": ("■", "a seed ended stuck")}


def show(plot: Plot) -> None:
    """Prints the plot; without a terminal, 80 columns of plain text."""
    console = Screen(highlight=False)
    console.print(draw(plot, console.width))


def draw(plot: Plot, width: int) -> RenderableType:
    """The panels of a plot under each other, as wide as this many characters allow."""
    signs = {line: (LETTERS[i % len(LETTERS)], COLOURS[i % len(COLOURS)]) for i, line in enumerate(plot.lines)}
    parts: list[RenderableType] = [Text(printable(plot.title), style="bold")]
    parts += [Text(printable(line), style="dim") for line in plot.method(BAND)]
    for panel in plot.view.panels:
        name = [printable(plot.view.panel_name(panel))] if panel else []
        parts += [Text(), Text.assemble(*((words, "bold") for words in name), " " * bool(name), (plot.y_label, "dim"))]
        parts += [picture(plot, panel, signs, min(WIDE, width)), _legend(plot, panel, signs), _lines(plot, panel)]
    return Group(*parts)


def picture(plot: Plot, panel: tuple, signs: Mapping[Line, tuple[str, str]], width: int) -> Text:
    """The curves of a panel."""
    figure = plotext.figure
    figure.clear.all()
    plotext.terminal.limit(False, False)
    figure.theme("colorless")
    figure.plot_size(width, HIGH)
    for axis, side in (("x", "upper"), ("y", "right")):
        figure.axes(False, axis=axis, side=side)
    _rulers(figure, plot)
    for reference, value in plot.references(panel):
        _points(figure, plot, _ends(plot), [value, value], DASHES[reference.field], "default", line=True)
    mine = plot.within(panel)
    for curve in mine:
        for x, y in _drawn(curve):
            _points(figure, plot, x, y, "braille", signs[curve.line][1], line=True)
    for number, curve in enumerate(mine):
        _letters(figure, plot, curve, signs[curve.line], (number, len(mine)), width)
    for curve in mine:
        for end in curve.ends:
            _points(figure, plot, [end.x], [end.value], ENDS[end.status][0], signs[curve.line][1])
    return Text.from_ansi(f"{figure.build().string().rstrip()}\n{plot.x_label:^{width}}".rstrip())


def _drawn(curve: Curve) -> list[tuple[np.ndarray, np.ndarray]]:
    """The mean; the seeds where there is none."""
    return [(curve.x, curve.mean)] if np.isfinite(curve.mean).any() else [*zip(curve.seed_x, curve.seeds, strict=True)]


def _letters(figure, plot: Plot, curve: Curve, sign: tuple[str, str], place: tuple[int, int], width: int) -> None:
    """The letter of a line at a few points of it, at others than those of the other lines."""
    (number, lines), (left, right) = place, (_on(end, plot.log_x) for end in _ends(plot))
    times = max(1, min(width // (2 * lines), width // GAP))
    wanted = left + (np.arange(times) + (number + 0.5) / lines) / times * (right - left)
    for x, y in _drawn(curve):
        (known,) = np.nonzero(np.isfinite(y))
        at = np.searchsorted(_on(x[known], plot.log_x), wanted)
        at = known[np.unique(at[at < len(known)])]
        _points(figure, plot, x[at], y[at], *sign)


def _points(figure, plot: Plot, x: Sequence, y: Sequence, sign: str, colour: str, line: bool = False) -> None:
    """Points of the picture; what is beyond its range stands on its edge, but a line leaves it."""
    x, y = _on(np.asarray(x, float), plot.log_x), _on(np.asarray(y, float), plot.log_y)
    low, high = (_on(value, plot.log_y) for value in plot.y_range)
    there = np.isfinite(x) & ~np.isnan(y)
    x, y = x[there], y[there] if line else np.clip(y[there], low, high)
    rgb = None if colour == "default" else tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    figure.draw(figure.signal(x.tolist(), y.tolist(), marker=plotext.marker(sign, pixel=rgb)).lines(line))


def _on(value, log: bool):
    """Where a value stands on an axis."""
    if not log:
        return value
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(value)


def _ends(plot: Plot) -> tuple[float, float]:
    """The first and the last x of all panels."""
    x = np.concatenate([x for curve in plot.curves for x in (curve.x[:1], curve.x[-1:])])
    x = x[x > 0] if plot.log_x else x
    return float(x.min()), float(x.max())


def _rulers(figure, plot: Plot) -> None:
    for axis, (low, high), log in (("x", _ends(plot), plot.log_x), ("y", plot.y_range, plot.log_y)):
        locator = LogLocator(subs=(1, 2, 5) if high < 1e3 * low else (1,)) if log else MaxNLocator(5)
        ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
        labels = [count(tick) if tick >= 1e3 else f"{tick:g}" for tick in ticks]
        figure.ruler(axis).lim(_on(low, log), _on(high, log)).ticks([_on(tick, log) for tick in ticks], labels)


def _legend(plot: Plot, panel: tuple, signs: Mapping[Line, tuple[str, str]]) -> Table:
    """What each letter is, at which value, where it ends, and what went bad."""
    curves = plot.within(panel)
    tuned = any(map(plot.best, curves))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    for name in ("", "arm", *(["best"] if tuned else []), "end", "seeds"):
        table.add_column(name, overflow="fold")
    form = METRICS["val_loss"].format if plot.trace.is_loss else ".3g"
    for curve in curves:
        letter, colour = signs[curve.line]
        end, best = final(curve), [Text(printable(plot.best(curve)))] if tuned else []
        spread = "" if math.isnan(end.half_width) else f" ± {end.half_width:{form}}"
        number = f"{end.mean:{form}}{spread}" if end.n else "–"
        seeds = Text(curve.trouble or str(len(curve.seeds)), style="yellow" * bool(curve.trouble))
        name = Text(printable(plot.view.name(curve.line)))
        table.add_row(Text(letter, style=colour), name, *best, Text(number), seeds)
    return table


def _lines(plot: Plot, panel: tuple) -> Text:
    """The entropies and signs of a panel in words."""
    words = [f"{DASHES[each.field]} {each.name} {value:.3f}" for each, value in plot.references(panel)]
    ended = {end.status for curve in plot.within(panel) for end in curve.ends}
    return Text("   ".join(words + [" ".join(words) for status, words in ENDS.items() if status in ended]), style="dim")
