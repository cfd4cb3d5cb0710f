"""Stability maps: a mean only where every seed trained, else a count; the best rate of each column; defaults."""

import dataclasses

import numpy as np
import pytest
from rich.cells import cell_len

from experiments import records, stability
from experiments.figures import maps, page, shades, squares
from experiments.figures.stability import make
from experiments.table_spec import Table
from flax_tx.errors import UserError
from tests.experiments import pictured, synthetic
from tests.experiments.pictured import DEPTH, RATE, WIRING

NORM = "model.norm.kind"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return pictured.whole(tmp_path_factory.mktemp("runs") / "depth")


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """One wiring, whose squares fail, miss, and do both."""

    def end_of(overrides):
        depth, rate, seed = overrides[DEPTH], overrides[RATE], overrides["seed.init"]
        ends = {(6, 1e-3): ("failed", "done", "done"), (12, 1e-3): ("missing", "done", "done")}
        ends |= {(12, 3e-3): ("stuck", "diverged", "missing"), (24, 1e-3): ("missing",) * 3}
        return ends.get((depth, rate), ("done",) * 3)[seed]

    return pictured.whole(tmp_path_factory.mktemp("runs") / "failing", wirings=("pre",), end_of=end_of)


def expected(workdir, wiring):
    """{(rate, depth): the mean, or how many seeds did not train} from the records alone."""
    frame = records.load(workdir)
    frame = frame[frame[WIRING] == wiring]
    found = {}
    for place, cells in frame.groupby([RATE, DEPTH]):
        counts = cells.status.value_counts()
        bad = {status: n for status, n in counts.items() if status != "done"}
        found[place] = bad or cells.val_loss.mean()
    return found


@pytest.mark.parametrize("wiring", synthetic.WIRINGS)
def test_a_square_is_a_mean_where_every_seed_trained_and_else_a_count(workdir, wiring):
    heat = (
        make(workdir).heats[(wiring,)] if (wiring,) in make(workdir).heats else make(workdir).heats[wiring, "layernorm"]
    )
    for (rate, depth), wanted in expected(workdir, wiring).items():
        at = heat.y.index(rate), heat.x.index(depth)
        if isinstance(wanted, dict):
            assert np.isnan(heat.mean[at])
            assert heat.trouble[at] == ", ".join(f"{n}/3 {status}" for status, n in wanted.items())
        else:
            np.testing.assert_allclose(heat.mean[at], wanted)
            assert at not in heat.trouble


def test_failed_and_missing_seeds_are_counted_too(failing):
    (heat,) = make(failing).heats.values()
    rates, depths = heat.y.index, heat.x.index
    assert heat.trouble == {
        (rates(1e-3), depths(6)): "1/3 failed",
        (rates(1e-3), depths(12)): "1/3 missing",
        (rates(3e-3), depths(12)): "1/3 stuck, 1/3 diverged, 1/3 missing",
        (rates(1e-3), depths(24)): "3/3 missing",
    }
    assert np.isfinite(heat.mean).sum() == 2


def test_the_best_rate_of_a_column_is_that_of_the_table(workdir):
    shown = make(workdir)
    for panel, heat in shown.heats.items():
        wanted = expected(workdir, panel[0])
        for column, depth in enumerate(heat.x):
            values = {rate: wanted[rate, depth] for rate in heat.y}
            bad = {rate: sum(v.values()) if isinstance(v, dict) else 0 for rate, v in values.items()}
            marked = [heat.y[row] for row, col in heat.best if col == column]
            if all(count == 3 for count in bad.values()):
                assert marked == []
            elif bad[1e-3] != bad[3e-3]:
                assert marked == [min(bad, key=bad.get)]
            else:
                assert marked == [min(values, key=values.get)]


def test_the_best_is_framed_and_starred(workdir):
    shown = make(workdir, where="wiring=pre|post")
    sheet = maps.stability(shown)
    for ax, heat in zip(sheet.axes, shown.heats.values(), strict=True):
        frames = {(round(p.get_y()), round(p.get_x())) for p in ax.patches if p.get_label() == "best"}
        assert frames == set(heat.best) and frames
    text = pictured.text_of(shades.stability(shown))
    assert text.count("*") == sum(len(heat.best) for heat in shown.heats.values()) + 1  # and what a star is


def test_squares_say_what_the_map_holds(workdir, failing):
    for shown in (make(workdir), make(failing)):
        sheet = maps.stability(shown)
        for ax, heat in zip(sheet.axes, shown.heats.values(), strict=True):
            said = {tuple(map(int, text.get_position()[::-1])): text.get_text() for text in ax.texts}
            for at, mean in np.ndenumerate(heat.mean):
                if np.isfinite(mean):
                    assert abs(float(said[at]) - mean) < 0.006
                else:
                    assert said[at] == heat.trouble[at].replace(", ", "\n").replace(" ", "\n")


def test_what_trained_has_a_colour_and_what_did_not_is_grey(failing):
    shown = make(failing)
    (heat,) = shown.heats.values()
    limits = squares.span([heat])
    greys = {*squares.BAD.values(), squares.EMPTY}
    for at, mean in np.ndenumerate(heat.mean):
        assert (squares.colour_of(heat, at, shown.metric, limits).upper() in greys) == bool(np.isnan(mean))
    stuck, missing = (
        next(at for at, words in heat.trouble.items() if words.startswith(w)) for w in ("1/3 stuck", "3/3")
    )
    assert squares.colour_of(heat, stuck, shown.metric, limits) == squares.BAD["stuck"]
    assert squares.colour_of(heat, missing, shown.metric, limits) == squares.EMPTY


def test_axes_are_those_of_the_table_unless_others_are_asked_for(workdir):
    shown = make(workdir)
    assert (shown.x, shown.y, shown.along) == (DEPTH, RATE, RATE)
    assert shown.facet in ((WIRING,), (WIRING, NORM))
    turned = make(workdir, x="lr", y="wiring")
    assert (turned.x, turned.y, turned.along, DEPTH in turned.facet) == (RATE, WIRING, RATE, True)
    one = make(workdir, where="depth=6,norm=layernorm", x="lr", y="wiring", facet="")
    assert list(one.heats) == [()]
    assert {row for row, _ in next(iter(one.heats.values())).best} == set(range(5))  # a best rate in each row


def test_what_else_is_retuned_is_at_its_best(tmp_path):
    table = dataclasses.replace(pictured.PRE, nuisance=(WIRING, RATE), rows=(NORM,), baseline=None)
    folder = pictured.whole(tmp_path / "a", wirings=("post", "pre"), norms=("layernorm", "rmsnorm"), table=table)
    shown = make(folder, y="norm")
    frame = records.load(folder)
    pre = frame[(frame[WIRING] == "pre") & (frame[DEPTH] == 24) & (frame[NORM] == "rmsnorm")]
    (heat,) = shown.heats.values()
    np.testing.assert_allclose(
        heat.mean[heat.y.index("rmsnorm"), heat.x.index(24)], pre.groupby(RATE).val_loss.mean().min()
    )
    assert "each at its best wiring and learning_rate" in shown.method and not heat.best


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"x": "dept"}, "x 'dept': no such field; did you mean depth"),
        ({"x": "width"}, "model.width is 64 in every cell"),
        ({"x": "depth", "y": "depth"}, "expected different fields"),
        ({"x": "lr", "y": "depth", "facet": ""}, r"model\.wiring varies .* would be mixed"),
        ({"metric": "val_los"}, "did you mean val_loss"),
        ({"where": "depth=7"}, "expected one of 6, 12, 24"),
    ],
)
def test_mistakes_are_lines(workdir, flags, expected):
    with pytest.raises(UserError, match=expected):
        make(workdir, **flags)


def test_a_sweep_of_one_field_is_a_line(tmp_path):
    table = Table((WIRING,), seeds=("seed.init", "seed.data"))
    folder = pictured.small(tmp_path / "a", table=table)
    with pytest.raises(UserError, match="expected different fields that vary; name them"):
        make(folder)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_command_writes_the_same_bytes_twice(workdir, tmp_path, suffix, capsys):
    out = tmp_path / f"s.{suffix}"
    stability.main([f"--workdir={workdir}", f"--out={out}", "--facet=wiring"])
    first = out.read_bytes()
    stability.main([f"--workdir={workdir}", f"--out={out}", "--facet=wiring"])
    assert out.read_bytes() == first and capsys.readouterr().out == f"{out}\n{out}\n"


def test_the_terminal_says_the_same_in_80_columns(failing, capsys):
    text = pictured.text_of(shades.stability(make(failing)))
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    for words in ("1/3 failed", "3/3 missing", "1/3 missing", "1/3 stuck, 1/3 diverged,", "learning rate / num layers"):
        assert words in text
    stability.main([f"--workdir={failing}"])
    assert "3/3 missing" in capsys.readouterr().out


def test_hostile_names_are_text(tmp_path):
    shown = make(pictured.hostile(tmp_path / "evil $x_1$"))
    sheet = maps.stability(shown)
    assert page.encode(sheet, "pdf")
    inside = sheet.bbox.padded(1)
    titles = [ax.title for ax in sheet.axes]
    assert all(inside.x0 <= t.get_window_extent().x0 and t.get_window_extent().x1 <= inside.x1 for t in titles)
    assert "<script>alert(1)</script>" in " ".join(t.get_text().replace("\n", "") for t in titles)
    text = pictured.text_of(shades.stability(shown))
    assert all(cell_len(line) <= 80 for line in text.splitlines()) and "\x1b" not in text
    assert "[red]x[/red]" in "".join(text.split())
