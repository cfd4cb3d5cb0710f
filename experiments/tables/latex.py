"""The table for a paper: booktabs. Everything that a user named is escaped."""

import itertools
import re
from collections.abc import Iterable, Iterator

from experiments.tables.aligned import MARKS, column
from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, captions
from experiments.tables.faces import title
from experiments.tables.grids import Grid, Row, grids
from experiments.tables.pages import LABEL, WIDE, head, height, pages, width, widths
from experiments.tables.typeset import cell, escape_latex, stacked, wrapped

HEAD = r"""% \input this file where booktabs and graphicx are loaded, or compile it by itself.
\expandafter\ifx\csname @nodocument\endcsname\relax\let\tablealone\relax\else
\documentclass{article}\usepackage{booktabs,graphicx}\usepackage[margin=2cm]{geometry}\pagestyle{empty}
\begin{document}\def\tablealone{\end{document}}\fi
"""
TAIL = "\\tablealone\n"
USUAL, NARROW = r"\footnotesize\setlength{\tabcolsep}{4pt}", r"\scriptsize\setlength{\tabcolsep}{2.5pt}"
FAMILY, NOTE = 90, 150  # characters of a line of a family's heading, and of the notes
PAGE = 64  # lines that a page holds, with the notes below a table


def latex(*reports: Report) -> str:
    """Booktabs tables with captions and notes; `\\input` the file, or compile it by itself."""
    own, shared = captions(reports, MARKS)
    tables = [_table(*each, number) for number, each in enumerate(zip(reports, own, strict=True), start=1)]
    notes = [_heading("All tables"), _notes(shared)] if shared else []
    return HEAD + "\n".join([*tables, *notes, TAIL])


def _table(report: Report, lines: list[tuple[str, str]], number: int) -> str:
    """A float, or several where the rows fill more than a page; the notes after it where they would not fit in it."""
    found = pages(grids(report))
    size = NARROW if max(width(part) for page in found for part in page) > WIDE else USUAL
    fit = sum(map(height, found[-1])) + sum(1 + len(text) // NOTE for _, text in lines) < PAGE
    within = [rf"\par\smallskip\noindent\begin{{minipage}}{{\linewidth}}{_notes(lines)}\end{{minipage}}"]
    after = [_heading(f"Notes on table {number}"), _notes(lines)]
    made = []
    for page, parts in enumerate(found):
        tabulars = "\n\\par\\medskip\n".join(map(_tabular, parts))
        below = within if fit and parts is found[-1] else []
        made += [_begin(page, size), _caption(report, number, page), tabulars, *below, r"\end{table}"]
    return "\n".join(made if fit else [*made, *after])


def _begin(page: int, size: str) -> str:
    """The beginning of a float; one that goes on with a table has its number."""
    return r"\addtocounter{table}{-1}" * bool(page) + rf"\begin{{table}}[!htbp]\centering{size}"


def _caption(report: Report, number: int, page: int) -> str:
    label = "" if page else rf"\label{{{_label(report, number)}}}"
    return rf"\caption{{{escape_latex(title(report))}{' (continued)' * bool(page)}}}{label}\smallskip"


def _label(report: Report, number: int) -> str:
    """`tab:depth-stability-1`."""
    return f"tab:{re.sub('[^a-z0-9]+', '-', report.manifest['name'].lower()).strip('-')}-{number}"


def _notes(lines: list[tuple[str, str]]) -> str:
    notes = "\\par\n".join(_note(label, text) for label, text in lines)
    return rf"{{\scriptsize\raggedright\noindent\parindent0pt {notes}\par}}"


def _heading(text: str) -> str:
    return rf"\par\noindent{{\footnotesize\textbf{{{text}}}}}\par"


def _note(label: str, text: str) -> str:
    shown = escape_latex(text)
    return rf"\emph{{{label}:}} " + (rf"\texttt{{{shown}}}" if label in COMMANDS else f"{shown}.")


def _tabular(grid: Grid) -> str:
    """A tabular, scaled down to the width of a line where it is wider."""
    count = len(grid.row_names) + len(grid.column_names)
    lines = [r"\toprule", *_spanners(grid), _row(_names(grid)), r"\midrule"]
    columns = [column(faces) for faces in zip(*(row.faces for row in grid.rows), strict=True)]
    cells = iter(zip(*columns, strict=True))
    for family, rows in grid.families:
        gap = r"\addlinespace " if family and rows[0] is not grid.rows[0] else ""
        named = wrapped(family, FAMILY) if family else []
        lines += [rf"{gap}\multicolumn{{{count}}}{{@{{}}l}}{{\emph{{{stacked(named, 'l')}}}}} \\"] * bool(family)
        lines += _rows(rows, cells, r"\quad " if family else "")
    sides = "l" * len(grid.row_names) + "r" * len(grid.column_names)
    body = "\n".join([rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}", *lines, r"\bottomrule", r"\end{tabular}"])
    heading = rf"\textbf{{{escape_latex(grid.heading)}}}\par\smallskip" + "\n" if grid.heading else ""
    return rf"{heading}\sbox0{{{body}}}\ifdim\wd0>\linewidth\resizebox{{\linewidth}}{{!}}{{\usebox0}}\else\usebox0\fi"


def _names(grid: Grid) -> Iterator[str]:
    """The header: names of rows, then of columns in the middle of theirs, broken where they are wider."""
    yield from (stacked(wrapped(name, LABEL), "l", "b") for name in grid.row_names)
    for name, room in zip(grid.column_names, widths(grid), strict=True):
        yield rf"\multicolumn{{1}}{{c}}{{{stacked(wrapped(name, head(name, room)), 'c', 'b')}}}"


def _spanners(grid: Grid) -> list[str]:
    """The line of spanners and the rules under them."""
    if not grid.spanners:
        return []
    cells, rules, start = [""] * len(grid.row_names), [], len(grid.row_names) + 1
    heads = iter(map(head, grid.column_names, widths(grid)))
    for name, count in grid.spans:
        room = sum(itertools.islice(heads, count))
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{stacked(wrapped(name, room), 'c', 'b')}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
        start += count
    return [_row(cells), " ".join(rules)]


def _rows(rows: list[Row], cells: Iterator[tuple[str, ...]], indent: str) -> list[str]:
    """Rows of one family; the first label is said once, and where there are several, a gap parts them."""
    lines, last = [], None
    for row in rows:
        gap = r"\addlinespace " if lines and len(row.labels) > 1 and row.labels[0] != last else ""
        first, *rest = (stacked(wrapped(label, LABEL), "l") for label in row.labels)
        shown = "" if row.labels[0] == last else indent + cell(first)
        lines.append(gap + _row([shown, *rest, *next(cells)]))
        last = row.labels[0]
    return lines


def _row(cells: Iterable[str]) -> str:
    first, *rest = cells
    return " & ".join([cell(first), *rest]) + r" \\"
