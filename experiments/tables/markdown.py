"""The table for a README: GitHub Markdown. Everything that a user named is escaped."""

import re
from collections.abc import Iterator

from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, captions
from experiments.tables.faces import MARKS, Face, title
from experiments.tables.grids import Grid, grids
from experiments.visible import line, visible


def markdown(*reports: Report) -> str:
    """GitHub tables, bold where an arm is separated from the baseline for the better, and the captions as lists."""
    parts = []
    own, shared = captions(reports)
    for report, lines in zip(reports, own, strict=True):
        parts.append(f"**{escape_markdown(title(report))}**")
        for grid in grids(report):
            parts += [f"**{escape_markdown(grid.heading)}**"] if grid.heading else []
            parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in _lines(grid)))
        parts.append(_list(lines))
    return "\n\n".join([*parts, *([_list(shared)] if shared else [])]) + "\n"


MARKUP = (  # what GitHub would take for more than text
    (r"([\\`*_\[\]|~#$])", r"\\\1"),
    (r"@", "&#64;"),
    (r":(?=//|[\w+-]*[a-z][\w+-]*:|[+-]1:|100:|1234:)", "&#58;"),  # links, emoji
    (r"(?i)\b(www)\.", r"\1&#46;"),
    (r"^([-+=])", r"\\\1"),  # lists and headings
    (r"^(\d+)([.)])(?=\s|$)", r"\1\\\2"),
)


def escape_markdown(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no table rule, no HTML, no link, no line break."""
    text = line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for pattern, instead in MARKUP:
        text = re.sub(pattern, instead, text)
    return text


def code(text: str) -> str:
    """Text as a span of code, whatever backticks are in it."""
    text = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    gap = " " * (text != text.strip("` "))
    return f"{fence}{gap}{text}{gap}{fence}"


def _lines(grid: Grid) -> Iterator[list[str]]:
    """Cells of the header, the rule and the rows. GitHub knows no spanner: column names carry theirs."""
    columns = [f"{name}: {column}" for name, column in zip(_over(grid), grid.column_names, strict=False)]
    yield list(map(escape_markdown, [*grid.row_names, *(columns or grid.column_names)]))
    yield ["---"] * len(grid.row_names) + ["---:"] * len(grid.column_names)
    for family, rows in grid.families:
        if family:
            yield [f"**{escape_markdown(family)}**", *[""] * (len(grid.row_names) + len(grid.column_names) - 1)]
        for row in rows:
            yield [*map(escape_markdown, row.labels), *map(_markdown_cell, row.faces)]


def _over(grid: Grid) -> list[str]:
    """The spanner of each column; our own is cut to its first word, since the caption says the rest."""
    return [name.partition(":")[0] if name == grid.spanners[0] else name for name in grid.spanners]


def _list(lines: list[tuple[str, str]]) -> str:
    return "\n".join(_markdown_line(label, text) for label, text in lines)


def _markdown_line(label: str, text: str) -> str:
    return f"- {label}: {code(text) if label in COMMANDS else escape_markdown(text)}"


def _markdown_cell(face: Face) -> str:
    number = f"**{face.estimate}**" if face.verdict == "better" else face.estimate
    best = f"<sub>at {escape_markdown(face.nuisance)}</sub>" if face.nuisance else ""
    estimate = f"({number})" if face.trouble and number else number
    words = (escape_markdown(text) for text in (face.beside, face.quoted))
    return " ".join(filter(None, [face.trouble, estimate, MARKS.get(face.verdict, ""), *words, best]))
