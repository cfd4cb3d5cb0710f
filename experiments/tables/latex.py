"""The table for a paper: booktabs through pandas. Everything that a user named is escaped."""

import unicodedata

import pandas as pd

from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, caption
from experiments.tables.faces import Face, Grid, grids, title

SIGNS = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "–": "--",
    "—": "---",
    "−": "$-$",
    **{sign: f"${name}$" for sign, name in {"±": r"\pm", "×": r"\times", "≈": r"\approx", "→": r"\to"}.items()},
    **{sign: f"${name}$" for sign, name in {"≤": r"\le", "≥": r"\ge", "∞": r"\infty", "√": r"\surd"}.items()},
    **{sign: f"${name}$" for sign, name in {"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "σ": r"\sigma"}.items()},
}
LETTERS = "ßæøœłÆØŒŁ"  # Latin letters without an accent to take off
MARKS = {"better": "+", "worse": "−", "not separated": "≈"}
HEAD = r"""% \input this file where booktabs is loaded, or compile it by itself.
\expandafter\ifx\csname @nodocument\endcsname\relax\let\tablealone\relax\else
\documentclass{article}\usepackage{booktabs}\usepackage[margin=2cm]{geometry}\pagestyle{empty}
\begin{document}\def\tablealone{\end{document}}\fi
"""
TAIL = "\\tablealone\n"
STACK, SECOND_LINE, STACKED = r"\begin{tabular}[t]{@{}r@{}}", r" \\ ", r"\end{tabular}"


def latex(report: Report) -> str:
    """A booktabs table with caption and notes; `\\input` it, or compile it by itself."""
    notes = [_tex_line(label, text) for label, text in caption(report, MARKS)]
    return "\n".join(
        [
            HEAD + r"\begin{table}[htbp]\centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{escape_latex(title(report))}}}",
            "\n\\par\\medskip\n".join(_tabular(grid) for grid in grids(report)),
            r"\par\smallskip\begin{minipage}{\linewidth}\scriptsize\raggedright",
            "\\par\n".join(notes),
            r"\end{minipage}",
            r"\end{table}",
            TAIL,
        ]
    )


def escape_latex(text: str) -> str:
    """Text that pdfLaTeX typesets as it is; a character that it has no glyph for is named by its code point."""
    return "".join(map(_tex_character, " ".join(str(text).split())))


def _tex_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if character in SIGNS or character.isascii():
        return SIGNS.get(character, character)
    if character in LETTERS or (plain and character < "\u0180"):
        return character
    return "".join(SIGNS.get(c, c) for c in plain) or f"[U+{ord(character):04X}]"


def _tex_line(label: str, text: str) -> str:
    shown = escape_latex(text)
    command = rf"\texttt{{{shown.replace('--', '-{}-')}}}"
    return rf"\emph{{{label}:}} {command if label in COMMANDS else shown + '.'}"


def _tabular(grid: Grid) -> str:
    rows, last = [], None
    for labels, faces in grid.rows:
        gap = r"\addlinespace " if rows and len(labels) > 1 else ""
        first = "" if labels[0] == last else gap + escape_latex(labels[0])
        rows.append([first, *map(escape_latex, labels[1:]), *map(_tex_cell, faces)])
        last = labels[0]
    names = [escape_latex(name) for name in (*grid.row_names, *grid.column_names)]
    style = pd.DataFrame(rows).style.hide(axis="index").relabel_index(names, axis="columns")
    body = style.to_latex(hrules=True, column_format="l" * len(grid.row_names) + "r" * len(grid.column_names))
    return (rf"\textbf{{{escape_latex(grid.heading)}}}\par" + "\n" if grid.heading else "") + body.rstrip()


def _tex_cell(face: Face) -> str:
    digits = r" \pm ".join(part.replace(",", "{,}") for part in (face.number, face.spread) if part)
    bold = rf"\mathbf{{{digits}}}" if face.verdict == "better" else digits
    mark = f"^{{{escape_latex(MARKS[face.verdict]).strip('$')}}}" if face.verdict else ""
    number = f"{'survivors ' * face.survivors}${bold}{mark}$" if digits else ""
    first, *rest = [*map(escape_latex, face.trouble.split(", ")), number] if face.trouble else [number]
    best = rf" {{\tiny @{escape_latex(face.nuisance)}}}" if face.nuisance else ""
    lines = [line for line in (first + best, *rest) if line]
    return f"{STACK}{SECOND_LINE.join(lines)}{STACKED}" if len(lines) > 1 else first + best
