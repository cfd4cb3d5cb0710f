"""Bold exactly where the paired comparison says better, and a word below for every sign that occurs, in all formats."""

import dataclasses
import html.parser
import io
import re

import numpy as np
import pytest
from rich.console import Console

from experiments import records, table
from experiments.tables import style
from experiments.tables.arms import assemble
from experiments.tables.caption import caption
from experiments.tables.faces import face
from tests.experiments import published, synthetic, tex

GAINS = {"post": 0.0, "pre": -0.2, "sandwich": 0.2, "deepnorm": 0.0, "rezero": -0.3}
BAD = {("rezero", 12, 1): "stuck", ("pre", 12, 0): "missing", ("sandwich", 24, 0): "failed"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Arms that are better, worse, not separated, bad and missing; a number for each that no other has."""
    folder = tmp_path_factory.mktemp("runs") / "depth"
    seeds, grid = range(5), {"norms": ("layernorm",), "rates": (1e-3, 2e-3)}
    synthetic.write(folder, **grid, seeds=seeds, steps=6, end_of=lambda overrides: "missing")
    rng = np.random.default_rng(0)
    noise = {seed: rng.normal(0, 0.3) for seed in seeds}
    for cell, row in records.load(folder).iterrows():
        arm = row["model.wiring"], row["model.num_layers"]
        own = (0.5 if arm[0] == "deepnorm" else 1e-3) * rng.normal()
        loss = 2 + GAINS[arm[0]] + noise[row["seed.init"]] + own + 100 * row["optim.learning_rate"]
        loss += 0.01 * arm[1]
        status = BAD.get((*arm, row["seed.init"]), "done")
        if status != "missing":
            outcome = {"status": status, "finished": "2026-11-22T12:00:00+00:00", "seconds": 1.0}
            records.write_result(folder, cell, None, None, {"val_loss": loss} if status != "failed" else None, outcome)
    return folder


def numbers(workdir, *verdicts):
    """`1.851 ± 0.012` of the arms with these verdicts, "" of those that are not compared."""
    report = assemble(workdir)
    faces = [face(arm, report) for arm in report.arms.values()]
    found = [shown.estimate for shown in faces if shown.number and shown.verdict in verdicts]
    assert len(set(found)) == len(found)
    return set(found)


class Bold(html.parser.HTMLParser):
    """The texts in <b>."""

    def __init__(self, page):
        super().__init__()
        self.found, self.depth = [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.depth += tag == "b"
        self.found += [""] * (tag == "b")

    def handle_endtag(self, tag):
        self.depth -= tag == "b"

    def handle_data(self, data):
        if self.depth:
            self.found[-1] += data


def bold_html(workdir):
    return Bold(table.render(workdir, "html")).found


def bold_markdown(workdir):
    rows = [line for line in table.render(workdir, "md").splitlines() if line.startswith("|")]
    return re.findall(r"\*\*([^*]+)\*\*", "\n".join(rows))


def bold_latex(workdir):
    source = tex.plain(table.render(workdir, "tex"))
    return [found.replace(r"\pm", "±") for found in re.findall(rf"\\mathbf\{{{tex.INSIDE}\}}", source)]


def bold_terminal(workdir):
    """What a terminal shows in bold, but for titles and headings."""
    console = Console(width=200, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    table.print_table(workdir, console)
    return re.findall(r"\x1b\[1;32m([^\x1b]*)\x1b\[0m", console.file.getvalue())


FORMATS = {"html": bold_html, "md": bold_markdown, "tex": bold_latex, "terminal": bold_terminal}


@pytest.mark.parametrize("format", FORMATS)
def test_bold_is_what_is_better_and_nothing_else(workdir, format):
    better, others = numbers(workdir, "better"), numbers(workdir, "worse", "not separated", "")
    assert len(better) == 5 and len(others) > 6  # one of them has a missing seed
    found = {" ".join(text.strip(" ▲()\n").split()) for text in FORMATS[format](workdir)}
    assert {text for text in found if "±" in text} == better


def test_the_page_says_bold_in_its_style_too():
    weights = dict(re.findall(r"\.(better|worse) \{([^}]*)\}", style.STYLE))
    assert "font-weight" in weights["better"] and "font-weight" not in weights["worse"]


def test_signs_are_explained_where_they_occur(workdir):
    said = dict(caption(assemble(workdir)))
    signs = [part.partition(": ")[0] for part in said["Signs"].split("; ")]
    assert signs == ["*", "survivors", "missing"]
    assert "stuck: " in said["Bad seeds"] and "failed: " in said["Bad seeds"] and "diverged" not in said["Bad seeds"]
    for mark in ("▲ better", "▼ worse", "≈ not separated"):
        assert mark in said["Baseline"]


def test_every_sign_of_a_table_is_in_the_words_below_it_in_every_format(workdir, tmp_path):
    synthetic.write(tmp_path)
    for folder, format in [
        (folder, format) for folder in (workdir, tmp_path) for format in ("rich", "md", "tex", "html")
    ]:
        text = table.render(folder, format)
        body, _, below = text.partition("Shown")
        for sign in ("*", "all", "survivors", "missing"):
            shown = re.search({"*": r"-3\\?\*", "all": r"(@|at )all"}.get(sign, sign), body)
            explained = re.search(rf"(; |{'Signs'}\W.*?)\\?{re.escape(sign)}: ", " ".join(below.split()))
            assert bool(shown) == bool(explained), (format, sign)


def test_a_table_without_trouble_explains_nothing(tmp_path):
    spec = dataclasses.replace(synthetic.TABLE, rows=("model.wiring",), nuisance=())
    arguments = {"norms": ("layernorm",), "depths": (6,), "rates": (1e-3,), "end_of": lambda overrides: "done"}
    synthetic.write(tmp_path, **arguments, table=spec)
    said = dict(caption(assemble(tmp_path)))
    assert "Signs" not in said and "Bad seeds" not in said and "Best" not in said
    assert "▲" not in said["Baseline"] and "≈ not separated" in said["Baseline"]


def test_what_stands_beside_ours_is_explained(tmp_path):
    published.write(tmp_path)
    (report, *_) = table.reports(tmp_path, published=True)
    assert dict(caption(report))["Signs"].split("; ")[1:] == ["–: not in the sweep", "theory: what is expected"]
    assert "–" not in dict(caption(table.reports(tmp_path, table="2")[0])).get("Signs", "")


def test_where_nothing_is_compared_no_mark_is_explained(tmp_path):
    synthetic.write(tmp_path, norms=("layernorm",), depths=(24,), rates=(1e-3,))
    said = dict(caption(assemble(tmp_path)))["Baseline"]
    assert said == "wiring=post, same column; not compared where the arm or its baseline has a bad seed"
