"""What commands write to a terminal: nothing in it is taken for markup or obeyed, whoever named it."""

import sys
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from experiments.visible import lines


class Screen(Console):
    """A console that writes no control character but those of its own styles, and takes no text for markup or emoji."""

    def __init__(self, **options: Any):
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> RenderResult:
        """The segments of a renderable, with nothing hidden in their texts."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(lines(segment.text), segment.style)


def shown(text: str, style: str = "") -> Text:
    """Text as `Screen` writes it, so that it is measured as wide as it gets. New lines stay."""
    return Text(lines(text), style)


def write(text: str) -> None:
    """Writes to stdout: to a terminal with nothing hidden, elsewhere as it is."""
    sys.stdout.write(lines(text) if sys.stdout.isatty() else text)
