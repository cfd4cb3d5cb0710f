"""The LaTeX of tables, typeset by pdfLaTeX: it compiles, fits the page, and its text comes out as text."""

import dataclasses
import re
import unicodedata

import pytest

from experiments import records, table
from experiments.column import Column
from experiments.tables.aligned import column, digits
from experiments.tables.faces import Face
from experiments.tables.grids import Grid, Row
from experiments.tables.latex import HEAD, TAIL, _tabular
from experiments.tables.pages import TALL, height, pages
from experiments.tables.typeset import LATIN, escape_latex, stacked, wrapped
from tests.experiments import hostile, published, synthetic, tex

FIELD = ("model.wiring",)


def sweep(folder, **arguments):
    synthetic.write(folder, **{"norms": ("layernorm",), "rates": (1e-3,), "steps": 6, **arguments})
    return table.render(folder, "tex")


def plain(folder):
    synthetic.write(folder)
    return table.render(folder, "tex")


def families(folder):
    published.write(folder)
    return table.render(folder, "tex", published=True)


def several(folder):
    published.write(folder)
    return table.render(folder, "tex")


def wide(folder):
    return sweep(folder, wirings=("post", "pre"), depths=range(2, 40, 2))


def tall(folder):
    rows = ("model.wiring", "model.num_layers")
    spec = dataclasses.replace(synthetic.TABLE, rows=rows, columns=(), nuisance=())
    return sweep(folder, depths=range(2, 30), table=spec)


def split(folder):
    spec = dataclasses.replace(synthetic.TABLE, rows=FIELD, split=("model.norm.kind",))
    return sweep(folder, norms=("layernorm", "rmsnorm"), table=spec)


def long_headings(folder):
    columns = tuple(Column("val_loss", f"{words} and what it says about the deep layers") for words in "abcdefgh")
    spec = dataclasses.replace(synthetic.TABLE, rows=FIELD, columns=(), columns_of=columns, nuisance=())
    return sweep(folder, depths=(6,), table=spec)


def evil(folder, name=hostile.NAMES["latex"]):
    """Hostile names at every place of a table."""
    values = list(hostile.NAMES.values())
    labels = dict(zip((6, 12, 24), (hostile.NAMES[kind] for kind in ("words", "long", "row start")), strict=True))
    paper = dataclasses.replace(
        published.PAPER, title=name, source=name, spanners=((name, ("a", hostile.NAMES["html"])), (values[-3], ("c",)))
    )
    spec = dataclasses.replace(
        synthetic.TABLE,
        **{"rows": FIELD, "title": name, "labels": labels, "baseline": {"model.wiring": values[0]}},
        **{"groups": {value: hostile.NAMES["words" if i % 5 else "html"] for i, value in enumerate(values)}},
        paper=dataclasses.replace(paper, rows={values[1]: (name, "1? [M]", "2")}, extra_rows=()),
        theory={"24": {values[2]: name}},
    )
    arguments = {"norms": ("layernorm",), "rates": (1e-3,), "steps": 6, "end_of": lambda overrides: "done"}
    synthetic.write(folder, wirings=values, table=spec, name=name, **arguments)
    manifest = records.sweep(folder)
    manifest["command"] = f"python {name} --workdir=/a/{'very_long/' * 30}"
    records.write_json(folder / "sweep.json", manifest)
    return table.render(folder, "tex", published=True)


TABLES = (plain, families, several, wide, tall, split, long_headings, evil)


@pytest.mark.parametrize("made", TABLES, ids=lambda made: made.__name__)
def test_a_table_compiles_by_itself_and_within_the_page(made, tmp_path):
    source = made(tmp_path / "run")
    status, log, _ = tex.typeset(tmp_path, source)
    assert status == 0, re.findall(r"^! .*(?:\n.*){3}", log, re.MULTILINE)
    assert not tex.too_wide(log)
    assert not re.search(r"Float too large|Missing character|Overfull \\vbox|Undefined control", log)


@pytest.mark.parametrize("made", (families, wide, evil), ids=lambda made: made.__name__)
def test_a_table_fits_the_column_of_the_paper_that_inputs_it(made, tmp_path):
    (tmp_path / "tables.tex").write_text(made(tmp_path / "run"), encoding="utf-8")
    paper = r"""\documentclass[twocolumn]{article}\usepackage{booktabs,graphicx}\begin{document}
    Before. \input{tables} After, as Table~\ref{tab:LABEL-1} shows. \end{document}"""
    label = re.search(r"\\label\{tab:(.*?)-1\}", (tmp_path / "tables.tex").read_text(encoding="utf-8"))[1]
    status, log, text = tex.typeset(tmp_path, paper.replace("LABEL", label), "paper", runs=2)
    assert status == 0 and not tex.too_wide(log), tex.too_wide(log)
    assert "After, as Table 1" in " ".join(text.split()) and "Before." in text


def test_what_a_reader_sees_of_hostile_names_is_their_text(tmp_path):
    parts = [rf"\noindent {escape_latex(name)}\par" for name in hostile.NAMES.values()]
    status, log, text = tex.typeset(tmp_path, HEAD + "\n\n".join(parts) + TAIL)
    assert status == 0 and "Missing character" not in log
    strip = lambda words: re.sub(r"[\s_]", "", words)  # noqa: E731  an underscore is drawn
    text = unicodedata.normalize("NFC", text)
    for drawn, typed in (("’", "'"), ("‘", "`"), ("ˆ", "^"), ("˜", "~"), ("”", "''"), ("ﬁ", "fi"), ("ﬀ", "ff")):
        text = text.replace(drawn, typed)
    for kind in (
        "html",
        "latex",
        "row start",
        "escapes",
        "direction",
        "invisible",
        "formula",
        "option",
        "path",
        "format",
    ):
        assert strip(hostile.seen(hostile.NAMES[kind]).replace('"', "''")) in strip(text), kind
    seen = strip(text)
    for words in ("verylong.very", "[U+6DF1]", "éñßØ", "somanywords", r"half\ud83d"):
        assert words in seen


def test_every_letter_that_goes_as_it_is_has_a_glyph(tmp_path):
    letters = sorted(LATIN - {"\xad"})
    status, log, text = tex.typeset(tmp_path, HEAD + "\n\n".join(map(escape_latex, letters)) + TAIL)
    assert status == 0 and "Missing character" not in log and len(text.split()) == len(letters)


def test_accents_that_stand_apart_are_put_on_their_letter_and_what_has_no_glyph_is_named():
    assert escape_latex("e\u0301 x\u0304 e\u0302\u0323") == r"é \={x} \d{\^{e}}"
    assert escape_latex("Ą ⅓ ﬁ 𝒳 a\u0301\u0302") == r"[U+0104] [U+2153] fi X á[U+0302]"


def test_letters_that_would_join_are_kept_apart():
    assert escape_latex("a--b ''c'' ?`d `` –") == r"a-{}-b '{}'c'{}' ?{}\`{}d \`{}{}\`{} --"


@pytest.mark.parametrize("begins", ["[2cm] x", "*x"])
def test_what_begins_a_row_is_not_taken_for_the_argument_of_the_row_before(begins, tmp_path):
    row = Row([begins], [Face(number="1")])
    grid = Grid("", [begins], ["a"], [row, row, dataclasses.replace(row, family=begins)], [])
    status, log, text = tex.typeset(tmp_path, HEAD + _tabular(grid) + stacked([begins, begins], "l") + TAIL)
    assert status == 0, re.findall("^! .*", log, re.MULTILINE)
    assert text.count(begins) == 6


def test_the_file_is_read_as_text_and_not_obeyed(tmp_path):
    (tmp_path / "secret.tex").write_text("SECRET")
    source = sweep(
        tmp_path / "run",
        wirings=(r"\input{secret}", r"\end{tabular}\input{secret}"),
        depths=(6,),
        table=dataclasses.replace(synthetic.TABLE, baseline=None),
    )
    status, _, text = tex.typeset(tmp_path, source)
    assert status == 0 and "SECRET" not in text and r"\input{secret}" in text


def test_numbers_stand_under_numbers_whatever_follows_them(tmp_path):
    faces = [
        Face(number="1.234", spread="0.125", verdict="better", nuisance="1e-3"),
        Face(number="12.345", spread="10.375", nuisance="1.5e-2*"),
        Face(number="-3.456", spread="0.625", theory="0"),
        Face(number="4.567", spread="2.875", verdict="worse"),
    ]
    rows = [Row([f"r{i}"], [face]) for i, face in enumerate(faces)]
    source = HEAD + _tabular(Grid("", ["row"], ["value"], rows, [])) + TAIL
    tex.needs("pdflatex", "pdftotext")
    tex.typeset(tmp_path, source)
    right = tex.right_edges(tmp_path / "table.pdf")
    means, spreads = (
        [right[word] for word in words] for words in (("12.345", "−3.456", "4.567"), ("0.625", "10.375", "2.875"))
    )
    assert max(means) - min(means) < 0.2 and max(spreads) - min(spreads) < 0.2
    assert abs(right["0.125"] - spreads[0]) < 0.2  # bold goes further to the left


@pytest.mark.parametrize(
    ("number", "expected"),
    [("3.28e-06", r"3.28{\times}10^{-6}"), ("1e+12", r"1{\times}10^{12}"), ("1,024", "1{,}024"), ("-0.5", "-0.5")],
)
def test_powers_of_ten_and_thousands_are_set_as_such(number, expected):
    assert digits(number) == expected


def test_a_long_table_is_cut_where_something_begins_and_no_row_is_lost():
    rows = [Row([f"w{i // 20}", str(i)], [Face(number=str(i))], "", (i,)) for i in range(130)]
    grid = Grid("", ["w", "i"], ["n"], rows, [])
    parts = [part for page in pages([grid]) for part in page]
    assert [row for part in parts for row in part.rows] == rows
    assert all(len(part.rows) <= TALL for part in parts) and len(parts) == 3
    assert [part.rows[0].labels[1] for part in parts] == ["0", "40", "80"]
    assert all(sum(map(height, page)) <= TALL or len(page) == 1 for page in pages([grid, *parts[1:], *parts[1:]]))


def test_lines_are_broken_at_words_and_within_those_that_are_too_long():
    assert wrapped("so many words", 8) == ["so many", "words"] and wrapped("a" * 20, 8) == ["a" * 8, "a" * 8, "a" * 4]
    assert wrapped("", 8) == [""] and wrapped("深" * 3, 16) == ["[U+6DF1][U+6DF1]", "[U+6DF1]"]
    assert column([Face(trouble="2/5 stuck, missing 1/5", number="1.5", spread="0.1", survivors=True)]) == [
        stacked(["2/5 stuck", "missing 1/5", r"survivors $1.5 \pm 0.1$"], "r")
    ]
