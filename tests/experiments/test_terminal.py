"""Curves in a terminal: 80 columns without colour, every line with its letter, every name as text."""

import re

import pytest
from rich.cells import cell_len

from experiments.figures import floors, plot, terminal
from experiments.metrics import METRICS
from tests.experiments import pictured, synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return pictured.whole(tmp_path_factory.mktemp("runs") / "alice" / "depth")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return pictured.hostile(tmp_path_factory.mktemp("runs") / "evil $x_1$ 深さ [red]")


def test_the_terminal_shows_panels_names_entropies_and_troubles_in_80_columns(workdir):
    made = plot.make(workdir)
    shown = pictured.text_of(terminal.draw(made, 80))
    assert all(cell_len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown
    for words in (
        "num_layers=6",
        "num_layers=24",
        "unigram entropy 3.040",
        "bigram loss 2.410",
        "a seed diverged",
        "■",
    ):
        assert words in shown
    form = METRICS["val_loss"].format
    for letter, line in zip("abcde", made.lines, strict=True):
        for curve in (c for c in made.curves if c.line == line):
            end = floors.final(curve)
            (row,) = re.findall(rf"^{letter}  {re.escape(made.view.name(line))} .*$", shown.split("num_layers=")[
                1 + made.view.panels.index(curve.arm.place.column)], re.MULTILINE)  # fmt: skip
            assert (f"{end.mean:{form}} ± {end.half_width:{form}}" if end.n else "–") in row
            assert (curve.trouble or "3") in row and made.best(curve) in row


def test_every_line_of_the_terminal_has_its_letter_in_the_picture(workdir):
    made = plot.make(workdir, where="depth=24")
    signs = {line: (letter, "default") for line, letter in zip(made.lines, "abcde", strict=True)}
    picture = terminal.picture(made, (24,), signs, 80).plain
    assert {letter for letter in "abcd" if letter in picture} == set("abcd")
    assert "✕" in picture and "■" in picture and "┈" in picture and "╌" in picture


def test_the_terminal_puts_points_where_the_numbers_are(tmp_path):
    folder = pictured.small(tmp_path / "a", wirings=("pre",))
    made = plot.make(folder)
    rows = terminal.picture(made, (6,), {made.lines[0]: ("a", "default")}, 80).plain.splitlines()[: terminal.HIGH - 2]
    low, high = made.y_range
    dashes = next(i for i, row in enumerate(rows) if row.count("┈") > 20)
    assert abs(dashes - (high - synthetic.UNIGRAM) / (high - low) * (len(rows) - 1)) <= 1
    last = max(i for i, row in enumerate(rows) if any("⠀" < c <= "⣿" or c == "a" for c in row))
    assert abs(last - (high - made.curves[0].mean[-1]) / (high - low) * (len(rows) - 1)) <= 1


def test_hostile_names_are_text_in_the_terminal(hostile):
    shown = pictured.text_of(terminal.draw(plot.make(hostile), 80))
    assert all(cell_len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown and "\x07" not in shown
    flat = "".join(shown.split())
    assert "<script>alert(1)</script>" in flat and "[red]x[/red]" in flat and "[bold]x[/bold]" in flat
    assert "Title$x_1$深さ<b>bold</b>\\frac{1}{2}" in flat and "six$layers" in flat
