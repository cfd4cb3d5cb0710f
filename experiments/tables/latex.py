"""The table for a paper: booktabs. Everything that a user named is escaped."""

import unicodedata
from collections.abc import Iterable

from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, captions
from experiments.tables.faces import Face, title
from experiments.tables.grids import Grid, Row, grids

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
    **{sign: f"${name}$" for sign, name in {"ℓ": r"\ell", "∂": r"\partial", "·": r"\cdot", "ε": r"\epsilon"}.items()},
    **{sign: f"${name}$" for sign, name in {"α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta"}.items()},
    **{sign: f"${name}$" for sign, name in {"η": r"\eta", "λ": r"\lambda", "μ": r"\mu", "π": r"\pi"}.items()},
    **{sign: f"${name}$" for sign, name in {"ρ": r"\rho", "σ": r"\sigma", "φ": r"\phi", "ω": r"\omega"}.items()},
    **{sign: f"$_{digit}$" for digit, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{sign: f"$^{digit}$" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
LETTERS = "ßæøœłÆØŒŁ"  # Latin letters without an accent to take off
MARKS = {"better": "+", "worse": "−", "not separated": "≈"}
HEAD = r"""% \input this file where booktabs is loaded, or compile it by itself.
\expandafter\ifx\csname @nodocument\endcsname\relax\let\tablealone\relax\else
\documentclass{article}\usepackage{booktabs}\usepackage[margin=2cm]{geometry}\pagestyle{empty}
\begin{document}\def\tablealone{\end{document}}\fi
"""
USUAL, NARROW = r"\footnotesize\setlength{\tabcolsep}{4pt}", r"\scriptsize\setlength{\tabcolsep}{2.5pt}"
WIDE = 6  # more columns than this are set narrow
TAIL = "\\tablealone\n"
STACK, SECOND_LINE, STACKED = r"\begin{tabular}[t]{@{}r@{}}", r" \\ ", r"\end{tabular}"


def latex(*reports: Report) -> str:
    """Booktabs tables with captions and notes; `\\input` the file, or compile it by itself."""
    own, shared = captions(reports, MARKS)
    tables = [_table(report, lines) for report, lines in zip(reports, own, strict=True)]
    notes = [r"\par\noindent{\footnotesize\textbf{All tables}}\par", _notes(shared)] if shared else []
    return HEAD + "\n".join([*tables, *notes, TAIL])


def _table(report: Report, lines: list[tuple[str, str]]) -> str:
    drawn = list(grids(report))
    wide = max(len(grid.column_names) for grid in drawn) > WIDE
    return "\n".join(
        [
            rf"\begin{{table}}[htbp]\centering{NARROW if wide else USUAL}",
            rf"\caption{{{escape_latex(title(report))}}}",
            "\n\\par\\medskip\n".join(map(_tabular, drawn)),
            r"\par\smallskip" + _notes(lines),
            r"\end{table}",
        ]
    )


def _notes(lines: list[tuple[str, str]]) -> str:
    notes = "\\par\n".join(_tex_line(label, text) for label, text in lines)
    return r"\noindent\begin{minipage}{\linewidth}\scriptsize\raggedright" + f"\n{notes}\n" + r"\end{minipage}"


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
    width = len(grid.row_names) + len(grid.column_names)
    lines = [r"\toprule", *_spanners(grid), _row(map(escape_latex, (*grid.row_names, *grid.column_names))), r"\midrule"]
    for family, rows in grid.families:
        gap = r"\addlinespace " if rows[0] is not grid.rows[0] else ""
        lines += [rf"{gap}\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{escape_latex(family)}}}}} \\"] if family else []
        lines += _rows(rows, r"\quad " if family else "")
    columns = "l" * len(grid.row_names) + "r" * len(grid.column_names)
    body = "\n".join([rf"\begin{{tabular}}{{{columns}}}", *lines, r"\bottomrule", r"\end{tabular}"])
    return (rf"\textbf{{{escape_latex(grid.heading)}}}\par" + "\n" if grid.heading else "") + body


def _spanners(grid: Grid) -> list[str]:
    """The line of spanners and the rules under them."""
    if not grid.spanners:
        return []
    cells, rules, column = [""] * len(grid.row_names), [], len(grid.row_names) + 1
    for name, width in grid.spans:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
        column += width
    return [_row(cells), " ".join(rules)]


def _rows(rows: list[Row], indent: str) -> list[str]:
    """Rows of one family; the first label is said once, and where there are several, a gap parts them."""
    lines, last = [], None
    for row in rows:
        gap = r"\addlinespace " if lines and len(row.labels) > 1 else ""
        first = "" if row.labels[0] == last else gap + indent + escape_latex(row.labels[0])
        lines.append(_row([first, *map(escape_latex, row.labels[1:]), *map(_tex_cell, row.faces)]))
        last = row.labels[0]
    return lines


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _tex_cell(face: Face) -> str:
    digits = r" \pm ".join(part.replace(",", "{,}") for part in (face.number, face.spread) if part)
    bold = rf"\mathbf{{{digits}}}" if face.verdict == "better" else digits
    mark = f"^{{{escape_latex(MARKS[face.verdict]).strip('$')}}}" if face.verdict else ""
    number = f"{'survivors ' * face.survivors}${bold}{mark}$" if digits else ""
    first, *rest = [*map(escape_latex, face.trouble.split(", ")), number] if face.trouble else [number]
    best = rf" {{\tiny @{escape_latex(face.nuisance)}}}" if face.nuisance else ""
    lines = [line for line in (first + best, *rest) if line]
    number = f"{STACK}{SECOND_LINE.join(lines)}{STACKED}" if len(lines) > 1 else first + best
    return " ".join(part for part in (number, escape_latex(face.beside), escape_latex(face.quoted)) if part)
