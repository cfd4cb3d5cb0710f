"""What stands over the panels of a page: a name, and in small letters what went bad; as tall as it must be."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from experiments.figures.page import GREY, SMALL
from experiments.figures.text import plain, wrap

TITLE = 8  # points
TALL, LOW = 0.135, 0.114  # inches of a line of a name, and of a small line


@dataclass(frozen=True)
class Heads:
    """The lines of each panel's name, and the small lines below it."""

    names: list[list[str]]
    small: list[list[str]]

    @classmethod
    def of(cls, names: Sequence[str], small: Sequence[str], room: float) -> "Heads":
        """In lines of at most `room` inches."""
        return cls([wrap(name, room, TITLE) for name in names], [wrap(words, room, SMALL) for words in small])

    @property
    def tall(self) -> float:
        """Inches by which a row of panels is taller than with one line of names."""
        return TALL * (max(map(len, self.names)) - 1) + LOW * max(map(len, self.small))

    def draw(self, axes: Sequence[Axes]) -> None:
        """Writes them over the panels."""
        most = max(map(len, self.small))
        for ax, name, small in zip(axes, self.names, self.small, strict=True):
            ax.set_title(plain("\n".join(name)), pad=4 + 72 * LOW * most, fontsize=TITLE)
            place = {"transform": ax.transAxes, "ha": "center", "va": "bottom"}
            ax.text(0.5, 1.015, plain("\n".join(small)), fontsize=SMALL, color=GREY, **place)
