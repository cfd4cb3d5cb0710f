"""Curves on paper: what is drawn is what was read, it can be read in print, and every name is text."""

import re
import warnings
import zlib

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from experiments import compare, records
from experiments.figures import drawing, page, plot, text
from experiments.figures.looks import looks
from tests.experiments import pictured, synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return pictured.whole(tmp_path_factory.mktemp("runs") / "alice" / "depth")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return pictured.hostile(tmp_path_factory.mktemp("runs") / "evil $x_1$ 深さ [red]")


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_picture_is_written_whole_and_twice_the_same(workdir, tmp_path, suffix, capsys):
    out = tmp_path / "pictures" / f"a.{suffix}"
    arguments = [f"--workdir={workdir}", f"--out={out}", "--where=depth=6|24"]
    compare.main(arguments)
    first = out.read_bytes()
    compare.main(arguments)
    assert out.read_bytes() == first and str(out) in capsys.readouterr().out
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix])


def test_the_picture_says_how_it_was_made_and_names_each_line_once(workdir):
    sheet = drawing.draw(plot.make(workdir))
    words = "\n".join(text.get_text() for text in sheet.texts)
    assert "each at its best learning_rate" in words and "95 % t band over 3 seeds" in words and "EMA 0.9" in words
    labels = [text.get_text() for text in sheet.legends[0].get_texts()]
    assert sorted(labels) == sorted(
        [
            *synthetic.WIRINGS,
            *("unigram entropy", "bigram loss", "a seed diverged", "a seed ended stuck"),
            next(label for label in labels if label.startswith("noise floor, ±")),
        ]
    )
    panels = sheet.axes
    assert [ax.get_title() for ax in panels] == ["num_layers=6", "num_layers=12", "num_layers=24"]
    assert panels[2].texts[0].get_text() == "rezero 1/3 diverged; post 3/3 stuck"
    assert not panels[0].texts[0].get_text()
    assert any(line.get_ydata()[0] == synthetic.UNIGRAM for line in panels[0].lines)


def test_lines_of_the_picture_are_the_curves_at_full_resolution(workdir):
    made = plot.make(workdir)
    ax = drawing.draw(made).axes[2]
    for curve in made.within((24,)):
        assert any(np.array_equal(line.get_ydata(), curve.mean, equal_nan=True) for line in ax.lines)
        assert (
            sum(
                any(np.array_equal(line.get_ydata(), seed, equal_nan=True) for seed in curve.seeds) for line in ax.lines
            )
            >= 3
        )
    signs = {marker: [line for line in ax.lines if line.get_marker() == marker] for marker in ("X", "s")}
    assert [line.get_xdata()[0] for line in signs["X"]] == [23]
    assert [line.get_xdata()[0] for line in signs["s"]] == [59] * 3
    bands = [path for path in ax.collections if path.get_paths() and path.get_alpha() == 0.13]
    assert len(bands) == len(synthetic.WIRINGS)


def test_lines_differ_in_colour_and_on_grey_paper():
    found = looks([(i, j) for i in range(7) for j in range(2)])
    assert len({(str(s["linestyle"]), s.get("marker")) for s in found.values()}) == len(found)
    assert len({s["color"] for s in found.values()}) == 7
    assert all(np.dot(to_rgb(s["color"]), (0.2126, 0.7152, 0.0722)) < 0.75 for s in found.values())


def test_a_picture_is_as_wide_as_a_column_or_a_page_and_its_text_can_be_read(workdir):
    for where, width in (("depth=24", 3.5), ("depth=6|24", 7.2)):
        sheet = drawing.draw(plot.make(workdir, where=where))
        assert sheet.get_figwidth() == width
        sheet.draw_without_rendering()
        ticks = [tick for ax in sheet.axes for tick in (*ax.get_xticklabels(), *ax.get_yticklabels())]
        texts = [*sheet.texts, *sheet.legends[0].get_texts(), *ticks, *(ax.xaxis.label for ax in sheet.axes)]
        assert all(6.5 <= each.get_fontsize() <= 9.5 for each in texts)
        inside = sheet.bbox.padded(1)
        for each in (*sheet.texts, *sheet.legends[0].get_texts(), *(ax.title for ax in sheet.axes)):
            box = each.get_window_extent()
            assert inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1


def test_a_pdf_holds_the_fonts_of_its_letters(workdir):
    content = page.encode(drawing.draw(plot.make(workdir, where="depth=6")), "pdf")
    streams = (
        zlib.decompress(s) for s in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S) if s[:1] == b"x"
    )
    whole = content + b"".join(streams)
    assert b"/FontFile2" in whole and b"/CIDFontType2" in whole
    assert b"/Type3" not in whole and b"/Type1" not in whole


def test_arms_without_a_mean_have_their_place_in_the_legend_and_their_trouble(tmp_path):
    """With markers, which Matplotlib cannot put on a line without a point."""
    ends = {("pre", 0): "failed", ("deepnorm", 0): "missing", ("deepnorm", 1): "missing"}

    def end_of(overrides):
        mine = overrides["model.wiring"], overrides["seed.init"]
        return ends.get(mine, "done") if overrides["model.norm.kind"] == "rmsnorm" else "done"

    made = plot.make(pictured.small(tmp_path / "a", norms=("layernorm", "rmsnorm"), seeds=(0, 1), end_of=end_of))
    sheet = drawing.draw(made)
    assert page.encode(sheet, "png")
    labels = {text.get_text() for text in sheet.legends[0].get_texts()}
    assert labels > {"pre · layernorm", "pre · rmsnorm", "deepnorm · layernorm", "deepnorm · rmsnorm"}
    shown = sheet.axes[0].texts[0].get_text()
    assert shown == "pre · rmsnorm 1/2 failed; deepnorm · rmsnorm 2/2 missing"


def test_log_axes_are_logarithmic_where_asked_or_where_decades_are_spanned(workdir, tmp_path):
    ax = drawing.draw(plot.make(workdir, log_x=True, log_y=True)).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert drawing.draw(plot.make(workdir)).axes[0].get_yscale() == "linear"
    exploded = pictured.small(tmp_path / "a")
    cell = records.sweep(exploded)["cells"][0]
    columns = {name: np.full(4, 400.0) for name in ("train_loss", "grad_norm", "learning_rate")}
    synthetic.put(exploded, cell, "metrics.parquet", {"step": np.arange(4)} | columns)
    assert plot.make(exploded).log_y
    assert plot.make(workdir, "grad_norm").log_y and not plot.make(workdir, "learning_rate").log_y


@pytest.mark.parametrize("format", ["png", "pdf", "svg"])
def test_hostile_names_are_text_on_paper(hostile, workdir, format):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sheet = drawing.draw(plot.make([hostile, workdir], where="depth=6|12,wiring=pre|post|deepnorm"))
        assert page.encode(sheet, format)
    labels = "\n".join(each.get_text() for each in sheet.legends[0].get_texts())
    joined = labels.replace("\n", "")
    assert r"Pre-LN <script>alert(1)</script> \$\alpha_{1}\$ & 100 % [red]x[/red] 深さ" in labels.replace("\n", " ")
    assert "x" * 170 in joined and "深さ" * 20 in joined
    assert "_post\N{REPLACEMENT CHARACTER}[31m \N{REPLACEMENT CHARACTER}\\$a\\$" in labels
    inside = sheet.bbox.padded(1)
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in (t.get_window_extent() for t in sheet.texts))
    assert all(t.get_window_extent().x1 <= inside.x1 for t in sheet.legends[0].get_texts())


def test_a_dollar_in_a_name_is_a_dollar():
    assert text.plain("a$b$") == r"a\$b\$"
    assert text.plain("\x1b[1m\x00\n") == "\N{REPLACEMENT CHARACTER}[1m\N{REPLACEMENT CHARACTER}\n"


def test_lines_of_text_fit_whatever_they_hold():
    for words in ("some words " * 20, "x" * 300, "深さ" * 80, "a " + "深" * 200 + " b"):
        lines = text.wrap(words, 2.0, 8)
        assert all(text.width(line, 8) <= 2.0 for line in lines)
        assert "".join(lines).replace(" ", "") == words.replace(" ", "")
