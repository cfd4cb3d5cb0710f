"""The table for a README: GitHub Markdown. Everything that a user named is escaped."""

import re

from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, caption
from experiments.tables.faces import MARKS, Face, grids, title


def markdown(report: Report) -> str:
    """A GitHub table, bold where an arm is separated from the baseline for the better, and the caption as a list."""
    parts = [f"**{escape_markdown(title(report))}**"]
    for grid in grids(report):
        parts += [f"**{escape_markdown(grid.heading)}**"] if grid.heading else []
        header = [escape_markdown(name) for name in (*grid.row_names, *grid.column_names)]
        rule = ["---"] * len(grid.row_names) + ["---:"] * len(grid.column_names)
        rows = [[*map(escape_markdown, labels), *map(_markdown_cell, faces)] for labels, faces in grid.rows]
        parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)))
    parts.append("\n".join(_markdown_line(label, text) for label, text in caption(report)))
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no table rule, no HTML, no line break."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", text).replace("@", "&#64;")


def _markdown_line(label: str, text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"- {label}: {fence}{text}{fence}" if label in COMMANDS else f"- {label}: {escape_markdown(text)}"


def _markdown_cell(face: Face) -> str:
    number = f"**{face.estimate}**" if face.verdict == "better" else face.estimate
    best = f"<sub>at {escape_markdown(face.nuisance)}</sub>" if face.nuisance else ""
    parts = [face.trouble, f"({number})" if face.trouble and number else number, MARKS.get(face.verdict, ""), best]
    return " ".join(part for part in parts if part)
