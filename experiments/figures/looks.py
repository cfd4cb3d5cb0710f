"""How lines are told apart: by colour for most eyes, by dash and marker on grey paper and for the others."""

from collections.abc import Hashable, Sequence

OKABE_ITO = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # without yellow: too pale
DASHES = ("-", (0, (5, 1.2)), (0, (1.2, 1)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2, 1, 2, 1, 2)))
MARKERS = ("", "o", "s", "^", "D", "v", "P", "<", ">", "h", "p", "*", "d", "8")
EVERY = 0.14  # of the length of a line between two of its markers


def looks(keys: Sequence[tuple[Hashable, Hashable]]) -> dict[tuple[Hashable, Hashable], dict]:
    """The style of each line: colour and dash by the first part of its key, marker by the rest.

    No two lines have the same dash and marker, as long as these suffice: 70 lines.
    """
    firsts, rests = (list(dict.fromkeys(part)) for part in zip(*keys, strict=True)) if keys else ((), ())
    found = {}
    for number, (first, rest) in enumerate(keys):
        i, j = firsts.index(first), rests.index(rest)
        marker = MARKERS[(i // len(DASHES) * len(rests) + j) % len(MARKERS)]
        marks = {"marker": marker, "markersize": 3.6, "markeredgewidth": 0.9, "markerfacecolor": "white"}
        start = EVERY * ((number * 0.382) % 1)
        found[first, rest] = {
            "color": OKABE_ITO[i % len(OKABE_ITO)],
            "linestyle": DASHES[i % len(DASHES)],
            **(marks | {"markevery": (start, EVERY)} if marker else {}),
        }
    return found
