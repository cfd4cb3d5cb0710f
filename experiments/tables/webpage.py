"""The table as a page of its own: no script, no network, light and dark. Everything that a user named is escaped."""

import html
from collections.abc import Iterator

from experiments.tables.arms import Report
from experiments.tables.caption import COMMANDS, captions
from experiments.tables.faces import MARKS, NOT_PLANNED, Face, title
from experiments.tables.grids import Grid, Row, grids
from experiments.tables.style import STYLE
from experiments.visible import line, visible

LONG = 20  # characters of a column's name from which it may be broken


def webpage(*reports: Report) -> str:
    """One HTML document of the tables."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_escape(reports[0].manifest['name'])}</title>",
            f"<style>{STYLE}</style></head><body>",
            sections(*reports),
            "</body></html>",
            "",
        ]
    )


def sections(*reports: Report, linked: bool = False) -> str:
    """A section per table, its caption as a definition list; with `linked` each number is a button with its cells."""
    own, shared = captions(reports)
    each = [_section(title(report), report, lines, linked) for report, lines in zip(reports, own, strict=True)]
    both = f"<section><h2>All tables</h2>{_list(shared)}</section>" if shared else ""
    return "\n".join([*each, both])


def _escape(text: str) -> str:
    return html.escape(line(text))


def _section(heading: str, report: Report, lines: list[tuple[str, str]], linked: bool) -> str:
    tables = []
    for grid in grids(report):
        tables += [f"<h3>{_escape(grid.heading)}</h3>"] if grid.heading else []
        tables.append(f'<div class="wide"><table>{_head(grid)}{"".join(_bodies(grid, linked))}</table></div>')
    return "\n".join([f"<section><h2>{_escape(heading)}</h2>", *tables, f"{_list(lines)}</section>"])


def _head(grid: Grid) -> str:
    names = [f'<th scope="col" class="label">{_escape(name)}</th>' for name in grid.row_names]
    for name, edge in zip(grid.column_names, _edges(grid), strict=True):
        names.append(f'<th scope="col"{_class(edge, "long" * (len(name) > LONG))}>{_escape(name)}</th>')
    over = [f'<th scope="colgroup" colspan="{width}"><span>{_escape(name)}</span></th>' for name, width in grid.spans]
    spanners = f'<tr class="over"><td colspan="{len(grid.row_names)}"></td>{"".join(over)}</tr>' if over else ""
    return f"<thead>{spanners}<tr>{''.join(names)}</tr></thead>"


def _edges(grid: Grid) -> list[str]:
    """The class of each column: "edge" of the first under a spanner."""
    starts = [name != before for name, before in zip(grid.spanners, ["", *grid.spanners], strict=False)]
    return ["edge" * start for start in starts] or [""] * len(grid.column_names)


def _class(*names: str) -> str:
    return f' class="{" ".join(filter(None, names))}"' if any(names) else ""


def _bodies(grid: Grid, linked: bool) -> Iterator[str]:
    """One tbody per family."""
    width = len(grid.row_names) + len(grid.column_names)
    for family, rows in grid.families:
        heading = f'<tr class="family"><th scope="rowgroup" colspan="{width}">{_escape(family)}</th></tr>'
        yield f"<tbody>{heading * bool(family)}{''.join(_rows(rows, grid, linked))}</tbody>"


def _rows(rows: list[Row], grid: Grid, linked: bool) -> Iterator[str]:
    """Rows of one family; a first label that several rows have stands beside all of them."""
    edges = _edges(grid)
    for i, row in enumerate(rows):
        same = [other for other in rows[i:] if other.labels[0] == row.labels[0]]
        begins = not i or rows[i - 1].labels[0] != row.labels[0]
        span = f' rowspan="{len(same)}"' if len(same) > 1 else ""
        first = [f'<th scope="row"{span}>{_escape(row.labels[0])}</th>'] if begins else []
        rest = [f'<th scope="row">{_escape(label)}</th>' for label in row.labels[1:]]
        names = (", ".join(filter(None, (*row.labels, column))) for column in grid.column_names)
        faces = [_linked(face, name) if linked else _cell(face) for face, name in zip(row.faces, names, strict=True)]
        cells = [f"<td{_class(edge)}>{face}</td>" for face, edge in zip(faces, edges, strict=True)]
        opening = _class("first" * (begins and len(row.labels) > 1))
        yield f"<tr{opening}>{''.join([*first, *rest, *cells])}</tr>"


def _linked(face: Face, name: str) -> str:
    """What a place says as a button that knows its cells and its name, where it has cells."""
    if not face.cells:
        return _cell(face)
    cells = _escape(" ".join(face.cells))
    return f'<button type="button" data-cells="{cells}" data-why="{_escape(name)}">{_cell(face)}</button>'


def _cell(face: Face) -> str:
    kind = "none" if face.trouble == NOT_PLANNED else "trouble"
    trouble = f'<span class="{kind}">{_escape(face.trouble)}</span>' if face.trouble else ""
    estimate = f"({face.estimate})" if face.trouble and face.number else face.estimate
    verdict = face.verdict.replace(" ", "-")
    sign = f'<abbr title="{face.verdict}">{MARKS[face.verdict]}</abbr>' if face.verdict else ""
    tag = "b" if face.verdict == "better" else "span"
    shown = f'<{tag} class="number {verdict}">{_escape(estimate)}{sign}</{tag}>' if estimate else ""
    best = f'<span class="best">@{_escape(face.nuisance)}</span>' if face.nuisance else ""
    beside = f'<span class="beside">{_escape(face.beside or face.quoted)}</span>' if face.beside or face.quoted else ""
    number = (best, shown) if trouble else (shown, best)
    return " ".join(part for part in (trouble, *number, beside) if part)


def _list(lines: list[tuple[str, str]]) -> str:
    """A definition list; labels that come in a row, such as Check, are said once."""
    said, last = [], None
    for label, text in lines:
        shown = f"<code>{html.escape(visible(text))}</code>" if label in COMMANDS else _escape(text)
        term = "" if label == last else f"<dt>{_escape(label)}</dt>"
        said.append(f"{term}<dd{_class('check' * (label == 'Check'))}>{shown}</dd>")
        last = label
    return f"<dl>{''.join(said)}</dl>"
