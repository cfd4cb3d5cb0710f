"""Sweeps that nobody trained, for the tests of pictures: small ones, one of somebody else, one with hostile names."""

import dataclasses
import io

from rich.console import Console

from tests.experiments import synthetic

WIRING, DEPTH, RATE = "model.wiring", "model.num_layers", "optim.learning_rate"
PRE = dataclasses.replace(synthetic.TABLE, baseline={WIRING: "pre"})
LABELS = {
    "pre": "Pre-LN <script>alert(1)</script> $\\alpha_{1}$ & 100 % [red]x[/red] 深さ " + "x" * 170,
    "post": "_post\x1b[31m \x07$a$",
    "deepnorm": "深さ" * 20,
    6: "six $ layers",
}
TITLE = "Title $x_1$ 深さ <b>bold</b> \\frac{1}{2} [bold]x[/bold] " + "w" * 150


def whole(folder, **changes):
    """Five wirings, three depths, two rates, three seeds; some are stuck or diverge."""
    synthetic.write(folder, **{"norms": ("layernorm",), "seeds": (0, 1, 2), "table": PRE} | changes)
    return folder


def small(folder, **changes):
    """Two wirings, one depth, one rate, three seeds, all of which train."""
    grid = {"wirings": ("pre", "deepnorm"), "norms": ("layernorm",), "depths": (6,), "rates": (1e-3,)}
    synthetic.write(folder, **grid | {"seeds": (0, 1, 2), "steps": 30, "table": PRE} | changes)
    return folder


def hostile(folder):
    """Three wirings, two depths, whose labels and title are anything but names."""
    table = dataclasses.replace(PRE, labels=LABELS, title=TITLE)
    synthetic.write(folder, ("post", "pre", "deepnorm"), ("layernorm",), (6, 12), seeds=(0, 1), steps=20, table=table)
    return folder


def ending(**ends):
    """The ends of the seeds of Pre-LN at 6 layers: `_0="stuck"`."""

    def end_of(overrides):
        mine = overrides[WIRING] == "pre" and overrides[DEPTH] == 6
        return ends.get(f"_{overrides['seed.init']}", "done") if mine else "done"

    return end_of


def by_place(plot):
    """(row, column) -> curve."""
    return {(*curve.arm.place.row, *curve.arm.place.column): curve for curve in plot.curves}


def text_of(renderable, width=80):
    """What a terminal without colour shows."""
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    console.print(renderable)
    return console.file.getvalue()
