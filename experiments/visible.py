"""Text as a reader sees it: what a terminal, a browser or TeX would obey is written out, and does nothing.

Control characters (C0, DEL, C1, so every escape sequence), overrides of the direction of writing, and characters that
nobody can see become their escapes, such as \\x1b and \\u202e. Letters of every script, combining marks and emoji stay.
"""

import re
from typing import Any

HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls
    "\xad\u200b\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # nothing to see
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"  # direction, and line separators
    "\ud800-\udfff]"  # half characters
)


def visible(text: Any) -> str:
    """The text with escapes in place of what is hidden, new lines too."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), str(text))


def line(text: Any) -> str:
    """`visible` on one line: white space of any kind is a space."""
    return visible(" ".join(str(text).split()))


def lines(text: str) -> str:
    """`visible` line by line."""
    return "\n".join(map(visible, text.split("\n")))
