"""Text in pictures: what a name says comes out as it is, in a font that has it, on lines that fit."""

import functools
from collections.abc import Iterator

from matplotlib.font_manager import FontProperties, get_font
from matplotlib.font_manager import fontManager as fonts

FAMILIES = ("DejaVu Sans", "Last Resort High-Efficiency")  # the second has a box for every letter that the first lacks
POINTS = 72  # in an inch
HINTED = 1.06  # letters that are fitted to pixels are wider than they are drawn


def plain(text: str) -> str:
    """Text without mathematics: a dollar is a dollar. Control characters are boxes; a new line stays."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return shown.replace("$", r"\$")


@functools.cache
def width(text: str, size: float) -> float:
    """How wide a line of text of this size in points is, in inches."""
    font = get_font([fonts.findfont(FontProperties(family=[family])) for family in FAMILIES])
    font.set_size(100, POINTS)  # every time: the font is shared with what draws
    font.set_text(text)
    return HINTED * font.get_width_height()[0] / 64 / 100 * size / POINTS


def wrap(text: str, inches: float, size: float) -> list[str]:
    """The text in lines of at most so many inches, broken between words where that is possible."""
    lines = [""]
    for word in _pieces(text, inches, size):
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size) <= inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line]


def _pieces(text: str, inches: float, size: float) -> Iterator[str]:
    """The words, those that fill more than a line in pieces."""
    for word in text.split():
        piece = ""
        for letter in word:
            if piece and width(piece + letter, size) > inches:
                yield piece
                piece = ""
            piece += letter
        yield piece
