"""Maps in a terminal: tables of numbers on the colours of the maps on paper, which say the same without colour."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.colors import to_hex
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from experiments.figures import squares
from experiments.figures.depths import Depth, Depths
from experiments.figures.stability import Map
from experiments.labels import printable, say
from experiments.screen import Screen

STEPS, LAYERS = 8, 24  # columns and rows of a table, at most


def show(drawn: RenderableType) -> None:
    """Prints it; without a terminal, as plain text."""
    Screen(highlight=False).print(drawn)


def stability(shown: Map) -> RenderableType:
    """The panels of a stability map, as many beside each other as fit."""
    limits = squares.span(shown.heats.values())
    panels = [_panel(shown, panel, limits) for panel in shown.heats]
    return Group(*heading(shown.title, [shown.method.replace("framed", "*")]), Columns(panels, padding=(1, 4)))


def heading(title: str, lines: Iterable[str]) -> list[Text]:
    """The title, and how it was made."""
    return [Text(printable(title), style="bold"), *(Text(printable(line), style="dim") for line in lines), Text()]


def _panel(shown: Map, panel: tuple, limits: tuple[float, float]) -> Table:
    heat, say = shown.heats[panel], shown.view.fields.say
    corner = f"{shown.axis(shown.y)} / {shown.axis(shown.x)}"
    table = grid(shown.name(panel), corner, [say(x) for x in heat.x])
    for row in reversed(range(len(heat.y))):
        cells = [_square(shown, panel, (row, column), limits) for column in range(len(heat.x))]
        table.add_row(Text(printable(say(heat.y[row]))), *cells)
    return table


def _square(shown: Map, panel: tuple, at: tuple[int, int], limits: tuple[float, float]) -> Text:
    heat = shown.heats[panel]
    star = "*" if at in heat.best else " "
    if np.isfinite(heat.mean[at]):
        return shaded(f"{heat.mean[at]:{shown.metric.format}}{star}", squares.colour_of(heat, at, shown.metric, limits))
    return Text((heat.trouble.get(at) or "–") + star, style="yellow" if at in heat.trouble else "")


def layers(shown: Depths) -> RenderableType:
    """Per arm, layers upwards and steps to the right, as many as fit."""
    scale = shown.span(at_end=False)
    method = shown.method("mean over {seeds}; –: from where a seed went bad")
    return Group(
        *heading(shown.title, [shown.words, *method]),
        Columns([_layer_table(shown, arm, scale) for arm in shown.arms], padding=(1, 4)),
    )


def _layer_table(shown: Depths, arm: Depth, scale: tuple[float, float, bool]) -> Table:
    columns = thinned(len(arm.step), STEPS)
    name = ", ".join(filter(None, (shown.name(arm), arm.trouble)))
    table = grid(name, "layer / step", [str(arm.step[i]) for i in columns])
    for row in reversed(thinned(len(arm.layer), LAYERS)):
        table.add_row(str(arm.layer[row]), *(_number(arm.mean[i, row], scale) for i in columns))
    return table


def profile(shown: Depths) -> RenderableType:
    """Per panel, a row for each arm and a column for each layer, as many as fit."""
    scale = shown.span(at_end=True)
    method = shown.method("mean over {seeds} at the last step; –: a seed went bad")
    parts = []
    for panel in shown.view.panels:
        arms = [arm for arm in shown.arms if arm.panel == panel]
        layer = max((arm.layer for arm in arms), key=len)
        columns = thinned(len(layer), STEPS)
        table = grid(shown.view.panel_name(panel), "arm / layer", [*(str(layer[i]) for i in columns), ""])
        for arm in arms:
            ends = dict(zip(arm.layer, arm.mean[-1], strict=True)) if len(arm.step) else {}
            numbers = (_number(ends.get(layer[i], np.nan), scale) for i in columns)
            table.add_row(Text(printable(shown.view.name(arm.line))), *numbers, Text(arm.trouble, style="yellow"))
        parts += [table, Text()]
    return Group(*heading(shown.title, [shown.words, *method]), *parts)


def thinned(count: int, most: int) -> list[int]:
    """At most so many of `count` places, evenly spread, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def _number(value: float, scale: tuple[float, float, bool]) -> Text:
    """A mean in two digits on its colour."""
    if not np.isfinite(value):
        return Text("–")
    low, high, log = scale
    share = np.log(value / low) / np.log(high / low) if log else (value - low) / ((high - low) or 1)
    return shaded(say(float(f"{value:.2g}")), to_hex(squares.COLOURS[None](share)))


def grid(title: str, corner: str, columns: Sequence[str]) -> Table:
    """A table of shades under its title; the corner says what rows and columns are."""
    table = Table(box=None, title=Text(printable(title), style="bold"), title_justify="left", padding=(0, 1, 0, 0))
    table.add_column(Text(printable(corner), style="dim"), no_wrap=True)
    for name in columns:
        table.add_column(Text(printable(name)), justify="right", overflow="fold")
    return table


def shaded(number: str, colour: str) -> Text:
    """A number on its colour."""
    return Text(number, style=f"{squares.ink(colour)} on {colour}")
