"""Families of rows, spanners, theory and published numbers in every format; the page of a table."""

import dataclasses
import html.parser
import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from experiments import records, table
from experiments.tables.arms import assemble
from experiments.tables.faces import signed
from experiments.tables.grids import grids
from flax_tx.errors import UserError
from tests.experiments import published, synthetic, tex

TEXTS = ("rich", "md", "tex", "html")
ORDER = ("Pre-LN", "NormFormer", "Post-LN", "deepnorm", "rezero")  # families as the groups list them, extra rows last


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "updates"
    published.write(folder)
    return folder


class Page(html.parser.HTMLParser):
    """Rows of (tag, attributes, text) per table, and every tag that was opened and not closed."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.tables, self.open, self.seen = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.open += [] if tag in self.VOID else [tag]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append([dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and {"th", "td"} & set(self.open):
            self.tables[-1][-1][-1][1] += data


@pytest.mark.parametrize("format", TEXTS)
def test_rows_stand_under_their_families_with_the_papers_own_rows_last(workdir, format):
    text = table.render(workdir, format, table="1", published=True)
    places = [text.index(name) for name in ("norm first", "Pre-LN", "NormFormer", "norm last", "Post-LN", "no norm")]
    assert places == sorted(places)
    assert "NormFormer" not in table.render(workdir, format, table="1") and "BLEU" not in table.render(workdir, format)
    (grid,) = grids(assemble(workdir, published=True))
    assert [row.labels[0] for row in grid.rows] == list(ORDER)
    assert [name for name, _ in grid.families] == ["norm first", "norm last", "no norm"]


@pytest.mark.parametrize("format", TEXTS)
def test_published_numbers_keep_their_marks_and_a_legend_says_what_they_mean(workdir, format):
    text = tex.plain(table.render(workdir, format, published=True)).replace("\\[", "[").replace("\\]", "]")
    for words in ("diverged?", "28.1? [M]", "8 [V2]", "unmarked: verified", "? sources disagree", "[M] from memory"):
        assert words in text
    clean = dataclasses.replace(published.PAPER, rows={"post": ("28.1", "9", "7")})
    assert clean.legend == "unmarked: verified against the paper"


@pytest.mark.parametrize("format", TEXTS)
def test_theory_stands_in_brackets_beside_ours(workdir, format):
    text = tex.plain(table.render(workdir, format, table="Updates"))
    (row,) = [line for line in re.split(r"\n|<tr", text) if "deepnorm" in line]
    assert re.search(r"0\.02 .*0\.02.*\(theory 0\)", row) and text.count("(theory ") == 2 and "(theory ln N)" in text
    assert text.count("(theory ") == 2 and "(theory stuck)" in tex.plain(table.render(workdir, format, table="1"))


def test_spanners_are_as_wide_as_their_columns(workdir):
    page = Page(table.render(workdir, "html", published=True))
    over, header, *rows = page.tables[0]
    assert [int(attrs["colspan"]) for attrs, _ in over] == [1, 2, 2, 1]
    assert [text for _, text in over] == ["", "here: validation loss, best learning rate", "BLEU & more", "time"]
    wide = lambda row: sum(int(attrs.get("colspan", 1)) for attrs, _ in row)  # noqa: E731
    assert {wide(row) for row in page.tables[0]} == {6} == {len(header)}
    assert len(rows) == len(ORDER) + 3 and page.open == []
    source = table.render(workdir, "tex", published=True)
    assert r"\multicolumn{2}{c}{here: validation loss, best learning rate} & \multicolumn{2}{c}{BLEU \& more}" in source
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5} \cmidrule(lr){6-6}" in source
    md = table.render(workdir, "md", published=True)
    assert "| wiring | here: 6L | here: 12L | BLEU &amp; more: 6L-6L | BLEU &amp; more: 18L-18L | time: hours |" in md


def test_latex_rows_have_one_cell_per_column(workdir):
    for one, columns in (("1", 6), ("3", 6)):
        source = table.render(workdir, "tex", table=one, published=one == "1")
        inside = source.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        lines = [line for line in inside.strip().splitlines() if line.endswith(r"\\")]
        for line in lines:
            spans = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans) == columns
        assert source.count("{") - source.count(r"\{") == source.count("}") - source.count(r"\}")
        assert rf"\begin{{tabular}}{{@{{}}l{'r' * (columns - 1)}@{{}}}}" in source


def drawn(workdir, width, **arguments):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    table.print_table(workdir, console, **arguments)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_in_a_terminal_a_spanner_is_a_rule_over_its_columns_and_blocks_keep_theirs(workdir):
    lines = drawn(workdir, 140, table="1", published=True)
    over = next(i for i, line in enumerate(lines) if "here: validation loss" in line)
    spans = [match.span() for match in re.finditer(r"─+ [^─]+ ─+", lines[over])]
    starts = [lines[over + 1].index(name) for name in ("6L ", "6L-6L", "hours")]
    assert [start for start, _ in spans] == starts and lines[over][spans[0][1]].isspace()
    assert spans[0][1] <= starts[1] - 3 and cell_len(lines[over]) <= cell_len(lines[over + 2])
    narrow = drawn(workdir, 84, table="1", published=True)
    assert all(cell_len(line) <= 84 for line in narrow)
    for spanner in ("here: validation", "BLEU & more", " time "):
        assert sum(spanner in line and "─" in line for line in narrow) == 1
    assert sum("NormFormer" in line for line in narrow) == 2  # not in our block: it has nothing there
    assert sum(line.strip() == "norm first" for line in narrow) == 3


def test_a_paper_is_shown_only_where_there_is_one(workdir, tmp_path):
    assert "One rate for all" not in table.render(workdir, "md", published=True)
    for arguments in ({"table": "2"}, {"table": "Updates"}):
        with pytest.raises(UserError) as error:
            table.render(workdir, published=True, **arguments)
        assert len(error.value.problems) == 1 and "--paper" in str(error.value)
    with pytest.raises(UserError, match="expected one of rich, md, tex, html with --paper"):
        table.render(workdir, "csv", published=True)
    with pytest.raises(UserError, match="no published numbers"):
        assemble(workdir, spec=published.SAME, published=True)


def test_the_page_shows_hostile_names_as_they_are(tmp_path):
    evil = "<script>alert(\"x\")</script> & 'q'"
    paper = dataclasses.replace(published.PAPER, title=evil, spanners=((evil, ("a<b>", "c")), ("t", (evil,))))
    spec = dataclasses.replace(
        published.MAIN,
        **{"title": evil, "groups": dict.fromkeys(published.WIRINGS, evil), "labels": {"post": evil, 6: "<i>6</i>"}},
        **{"theory": {}, "paper": dataclasses.replace(paper, rows={"post": (evil, "1", "2")})},
    )
    published.write(tmp_path, tables=(spec,), seeds=(0,), rates=(1e-3,), name=evil)
    text = table.render(tmp_path, "html", published=True)
    page = Page(text)
    assert "script" not in page.seen and "i" not in page.seen and page.open == [] and "&lt;script&gt;" in text
    assert "http" not in text and text.startswith("<!doctype html>") and "prefers-color-scheme" in text
    assert [text for _, text in page.tables[0][0]][2:] == [evil, "t"]


def test_labels_that_several_rows_have_stand_beside_all_of_them(tmp_path):
    synthetic.write(tmp_path, wirings=("post", "pre"), depths=(6,), rates=(1e-3,), end_of=lambda overrides: "missing")
    page = Page(table.render(tmp_path, "html"))
    assert [row[0][0].get("rowspan") for row in page.tables[0][1:]] == ["2", None, "2", None]
    assert [len(row) for row in page.tables[0]] == [3, 3, 2, 3, 2]
    assert records.sweep(tmp_path)["name"] in html.unescape(table.render(tmp_path, "html"))


@pytest.mark.parametrize(
    ("number", "expected"), [("-0.00", "0.00"), ("-0.01", "-0.01"), ("0.0", "0.0"), ("nan", "nan")]
)
def test_what_rounds_to_zero_has_no_sign(number, expected):
    assert signed(number) == expected
