"""A page of panels: its title, how it was made, its legend, and the defaults of print. No global state.

As wide as a column of a paper with one panel, as a page with more; text is 6.5 to 9.5 points where it is printed.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.figures.text import FAMILIES, plain, width, wrap

COLUMN, PAGE = 3.5, 7.2  # inches
TITLE, BODY, SMALL = 9.5, 7.5, 6.5  # points
STYLE = {
    **{"font.family": list(FAMILIES), "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8},
    **{"legend.fontsize": BODY, "xtick.labelsize": 7, "ytick.labelsize": 7},
    **{"axes.linewidth": 0.6, "lines.linewidth": 1.3, "xtick.major.width": 0.6, "ytick.major.width": 0.6},
    **{"xtick.major.size": 2.5, "ytick.major.size": 2.5, "xtick.minor.size": 1.5, "ytick.minor.size": 1.5},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True},
    **{"pdf.fonttype": 42, "svg.hashsalt": "flax_tx"},
}
GREY = "#555555"
ROW = 2.25  # inches of a row of panels
SPACING = 1.3  # of lines of text, in heights of a line
LINE, ENTRY = 0.158, 0.145  # inches between two lines of text, and two of the legend
EDGE = 0.1  # inches of paper to the right of panels
HANDLE, GAP = 0.33, 0.16  # inches: the sign of an entry of the legend with its text's distance, and between columns


@dataclass(frozen=True)
class Page:
    """The figure, one axes for each panel, and how many of them stand beside each other."""

    figure: Figure
    axes: list[Axes]
    columns: int

    @property
    def bottom(self) -> list[Axes]:
        """The panels with none below them."""
        return self.axes[-self.columns :]

    @property
    def left(self) -> list[Axes]:
        """The panels with none to the left of them."""
        return self.axes[:: self.columns]


def room(panels: int, most: int = 3) -> float:
    """Inches of text over or under each of so many panels, of which at most `most` stand beside each other."""
    return (COLUMN if panels == 1 else PAGE) / min(panels, most) - 0.3


@contextmanager
def page(
    panels: int,
    heading: str,
    method: Sequence[str],
    legend: Sequence[Artist] = (),
    most: int = 3,
    row: float = ROW,
    sharex: bool = True,
    sharey: bool = True,
) -> Iterator[Page]:
    """A page to draw on while the context lasts.

    Args:
      method: paragraphs under the heading.
      legend: entries with their labels, below the panels.
      most: panels beside each other.
      row: inches of a row of panels, with what stands over and under them.
      sharex, sharey: panels have one range of x, of y.
    """
    columns = min(panels, most)
    rows, across = math.ceil(panels / columns), COLUMN if panels == 1 else PAGE
    titles = wrap(heading, across - 0.16, TITLE)
    lines = [line for paragraph in method for line in wrap(paragraph, across - 0.16, BODY)]
    entries, legend_columns, legend_lines = _legend(legend, across)
    down = 0.08 + 0.19 * len(titles)
    top, bottom = down + LINE * len(lines), 0.05 + ENTRY * legend_lines
    height = top + row * rows + bottom
    with rc_context(STYLE):
        figure = Figure(figsize=(across, height), dpi=200)
        FigureCanvasAgg(figure)
        inside = (0, bottom / height, 1 - EDGE / across, 1 - (top + bottom) / height)
        figure.set_layout_engine("constrained", rect=inside, w_pad=0.06)
        axes = list(figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).flat)
        for unused in axes[panels:]:
            unused.remove()
        yield Page(figure, axes[:panels], columns)
        left = 0.08 / across
        figure.text(left, 1 - 0.06 / height, plain("\n".join(titles)), va="top", fontsize=TITLE)
        paragraphs = {"va": "top", "color": GREY, "fontsize": BODY, "linespacing": SPACING}
        figure.text(left, 1 - down / height, plain("\n".join(lines)), **paragraphs)
        if entries:
            labels = [plain("\n".join(_label(entry, across))) for entry in entries]
            look = {"loc": "lower center", "frameon": False, "handlelength": 2.6, "borderpad": 0.2}
            look |= {"columnspacing": GAP * 72 / BODY, "handletextpad": 0.6, "labelspacing": 0.35}
            figure.legend(handles=entries, labels=labels, ncols=legend_columns, **look)


def _legend(handles: Sequence[Artist], across: float) -> tuple[list[Artist], int, int]:
    """(entries in the order that fills rows first, in how many columns, of how many lines of text)."""
    if not handles:
        return [], 1, 0
    texts = [_label(handle, across) for handle in handles]
    widths = [max(width(line, BODY) for line in lines) + HANDLE + GAP for lines in texts]
    fits = (n for n in range(len(handles), 1, -1) if sum(max(widths[i::n]) for i in range(n)) <= across)
    rows = math.ceil(len(handles) / next(fits, 1))
    columns = math.ceil(len(handles) / rows)
    by_columns = [handle for column in range(columns) for handle in handles[column::columns]]
    return by_columns, columns, max(sum(map(len, texts[column::columns])) for column in range(columns))


def _label(handle: Artist, across: float) -> list[str]:
    return wrap(handle.get_label(), across - HANDLE - 0.2, BODY) or [""]


def encode(figure: Figure, format: str) -> bytes:
    """The bytes of the picture; the same figure gives the same bytes."""
    sink = io.BytesIO()
    with rc_context(STYLE):
        dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
        figure.savefig(sink, format=format, metadata=dated[format])
    return sink.getvalue()
