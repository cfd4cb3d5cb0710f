"""Diagnostics over layers: maps and profiles are the records' numbers, and nothing is averaged over survivors."""

import numpy as np
import pytest
from matplotlib.colors import LogNorm
from rich.cells import cell_len

from experiments import layers, records
from experiments.figures import maps, page, shades
from experiments.figures.depths import make
from experiments.statistics import estimate
from flax_tx.errors import UserError
from tests.experiments import pictured, synthetic

STEPS, LAYERS = (10, 20, 30), 5
PRE, DEEPNORM = ("pre", "layernorm"), ("deepnorm", "layernorm")


def record(folder, decades=False):
    """Two diagnostics of every cell of a sweep that trained, which may span decades over layers."""
    written, frame = {}, records.load(folder)
    for number, cell in enumerate(frame.index[~frame.status.isin(["failed", "missing"])]):
        values = 1 + np.random.default_rng(number).uniform(size=(len(STEPS), LAYERS))
        written[cell] = values * 10.0 ** -np.arange(LAYERS) if decades else values
        columns = {"step": np.repeat(STEPS, LAYERS), "layer": np.tile(np.arange(1, LAYERS + 1), len(STEPS))}
        columns |= {"grad_rms": written[cell].ravel(), "ffn_0.stream_rms": written[cell].ravel() + 1}
        synthetic.put(folder, cell, "layers.parquet", columns)
    return written


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """(workdir, cell -> its grad_rms)."""
    folder = pictured.small(tmp_path_factory.mktemp("runs") / "small", steps=31, rates=(1e-3, 3e-3))
    return folder, record(folder)


def arms_of(shown):
    return {arm.line.row: arm for arm in shown.arms}


def cells_of(folder, wiring, rate):
    frame = records.load(folder)
    mine = frame[(frame["model.wiring"] == wiring) & (frame["optim.learning_rate"] == rate)]
    return list(mine.sort_values("seed.init").index)


def best_rate(folder, wiring):
    frame = records.load(folder)
    return frame[frame["model.wiring"] == wiring].groupby("optim.learning_rate").val_loss.mean().idxmin()


def test_a_map_is_the_mean_of_the_seeds_at_the_best_rate(swept):
    folder, written = swept
    for (wiring, _), arm in arms_of(make(folder, "grad_rms")).items():
        cells = cells_of(folder, wiring, best_rate(folder, wiring))
        np.testing.assert_allclose(arm.seeds, [written[cell] for cell in cells])
        np.testing.assert_allclose(arm.mean, np.mean([written[cell] for cell in cells], axis=0))
        assert (arm.step.tolist(), arm.layer.tolist()) == (list(STEPS), list(range(1, LAYERS + 1)))


def test_sublayers_go_under_their_names(swept):
    folder, written = swept
    arm = arms_of(make(folder, "ffn_0.stream_rms"))[PRE]
    cells = cells_of(folder, "pre", best_rate(folder, "pre"))
    np.testing.assert_allclose(arm.mean, np.mean([written[cell] for cell in cells], axis=0) + 1)
    assert make(folder, "ffn_0.stream_rms").words == "RMS of the stream, ffn_0"


def test_a_profile_is_the_end_with_its_t_interval(swept):
    arm = arms_of(make(swept[0], "grad_rms"))[PRE]
    mean, low, high = arm.profile(log=False)
    for layer in range(LAYERS):
        shown = estimate(arm.seeds[:, -1, layer])
        np.testing.assert_allclose([mean[layer], low[layer], high[layer]], [shown.mean, shown.low, shown.high])
    mean, low, high = arm.profile(log=True)
    shown = estimate(np.log(arm.seeds[:, -1, 2]))
    np.testing.assert_allclose([mean[2], low[2], high[2]], np.exp([shown.mean, shown.low, shown.high]))


def test_from_where_a_seed_went_bad_there_is_no_mean(tmp_path):
    folder = pictured.small(tmp_path / "a", steps=40, end_of=pictured.ending(_1="diverged"))  # at step 16
    record(folder)
    arm = arms_of(make(folder, "grad_rms"))[PRE]
    assert np.isfinite(arm.mean).all(axis=1).tolist() == [True, False, False]
    assert np.isfinite(arm.seeds).all(axis=(1, 2)).tolist() == [True, False, True]
    assert arm.trouble == "1/3 diverged" and np.isnan(arm.profile(log=False)[0]).all()
    assert np.isnan(arm.profile(log=True)[0]).all()


def test_a_failed_seed_leaves_no_mean_and_a_stuck_one_is_in_it(tmp_path):
    folder = pictured.small(tmp_path / "a", end_of=pictured.ending(_0="failed", _1="stuck"))
    record(folder)
    arm = arms_of(make(folder, "grad_rms"))[PRE]
    assert np.isnan(arm.mean).all() and arm.trouble == "1/3 stuck, 1/3 failed" and len(arm.seeds) == 2
    folder = pictured.small(tmp_path / "b", end_of=pictured.ending(_1="stuck"))
    record(folder)
    arm = arms_of(make(folder, "grad_rms"))[PRE]
    np.testing.assert_allclose(arm.mean, arm.seeds.mean(axis=0))
    assert arm.trouble == "1/3 stuck"


def test_a_layer_that_does_not_have_it_is_left_out(swept, tmp_path):
    folder = pictured.small(tmp_path / "a")
    record(folder)
    for cell in records.sweep(folder)["cells"]:
        frame = records.load_layers(folder, [cell])
        columns = {name: frame[name].to_numpy() for name in frame if name != "cell"}
        columns["grad_rms"] = np.where(frame.layer == 3, np.nan, columns["grad_rms"])
        synthetic.put(folder, cell, "layers.parquet", columns)
    arm = arms_of(make(folder, "grad_rms"))[PRE]
    assert arm.layer.tolist() == [1, 2, 4, 5] and np.isfinite(arm.mean).all()


def test_the_map_on_paper_holds_the_numbers_where_they_were_measured(swept):
    shown = make(swept[0], "grad_rms")
    sheet = maps.layers(shown)
    for ax, arm in zip(sheet.axes, shown.arms, strict=False):
        (mesh,) = ax.collections
        np.testing.assert_allclose(mesh.get_array().reshape(LAYERS, len(STEPS)), arm.mean.T)
        edges = mesh.get_coordinates()
        np.testing.assert_allclose((edges[0, 1:, 0] + edges[0, :-1, 0]) / 2, STEPS)
        np.testing.assert_allclose((edges[1:, 0, 1] + edges[:-1, 0, 1]) / 2, range(1, LAYERS + 1))
        assert not isinstance(mesh.norm, LogNorm)
    assert [ax.get_title() for ax in sheet.axes[:2]] == ["pre", "deepnorm"]
    limits = {ax.collections[0].get_clim() for ax in sheet.axes[:2]}
    assert limits == {(min(arm.mean.min() for arm in shown.arms), max(arm.mean.max() for arm in shown.arms))}


def test_what_spans_decades_has_logarithmic_colours_and_axes(tmp_path):
    folder = pictured.small(tmp_path / "a")
    record(folder, decades=True)
    shown = make(folder, "grad_rms")
    assert isinstance(maps.layers(shown).axes[0].collections[0].norm, LogNorm)
    sheet = maps.profile(shown)
    assert sheet.axes[0].get_yscale() == "log"
    assert "geometric mean" in "".join(text.get_text() for text in sheet.texts)


def test_the_profile_on_paper_is_a_line_for_each_arm(swept):
    shown = make(swept[0], "grad_rms", kind="profile")
    sheet = maps.profile(shown)
    (ax,) = sheet.axes
    for arm in shown.arms:
        assert any(np.array_equal(line.get_ydata(), arm.profile(log=False)[0]) for line in ax.lines)
        for seed in arm.seeds[:, -1]:
            assert any(np.array_equal(line.get_ydata(), seed) for line in ax.lines)
    assert [text.get_text() for text in sheet.legends[0].get_texts()] == ["pre", "deepnorm"]
    assert ax.get_xlabel() == "layer" and ax.get_ylabel() == "gradient RMS"


@pytest.mark.parametrize(
    ("places", "expected"), [([2, 4, 8], [1, 3, 6, 10]), ([5], [4.5, 5.5]), ([1, 2], [0.5, 1.5, 2.5])]
)
def test_squares_meet_half_way_between_their_middles(places, expected):
    assert maps.edges(np.array(places)).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--diagnostic=grad_rm"], ["expected one of grad_rms, ffn_0.stream_rms; did you mean grad_rms?"]),
        (["--diagnostic=stream_rms"], ["did you mean ffn_0.stream_rms?"]),
        (["--diagnostic=x", "--kind=mapp", "--where=a=b", "--out=c.gif"], ["where", "diagnostic", "kind", "out"]),
        ([], ["--diagnostic"]),
    ],
)
def test_mistakes_are_a_line_each_and_all_at_once(swept, arguments, expected):
    with pytest.raises(UserError) as error:
        layers.main([f"--workdir={swept[0]}", *arguments])
    assert len(error.value.problems) == len(expected)
    assert all(word in line for word, line in zip(expected, error.value.problems, strict=True))


@pytest.mark.parametrize("kind", ["map", "profile"])
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_command_writes_the_same_bytes_twice(swept, tmp_path, kind, suffix):
    out = tmp_path / f"l.{suffix}"
    arguments = [f"--workdir={swept[0]}", "--diagnostic=grad_rms", f"--kind={kind}", f"--out={out}"]
    layers.main(arguments)
    first = out.read_bytes()
    layers.main(arguments)
    assert out.read_bytes() == first


@pytest.mark.parametrize("kind", ["map", "profile"])
def test_the_terminal_says_the_numbers_in_80_columns(swept, kind, capsys):
    shown = make(swept[0], "grad_rms")
    text = pictured.text_of(shades.layers(shown) if kind == "map" else shades.profile(shown))
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    for arm in shown.arms:
        numbers = arm.mean if kind == "map" else arm.mean[-1]
        assert all(f"{value:.2g}" in text for value in numbers.ravel())
    layers.main([f"--workdir={swept[0]}", "--diagnostic=grad_rms", f"--kind={kind}"])
    assert "gradient RMS" in capsys.readouterr().out


def test_many_layers_and_steps_are_thinned_with_both_ends():
    assert shades.thinned(3, 8) == [0, 1, 2] and shades.thinned(0, 8) == [] and shades.thinned(1, 8) == [0]
    found = shades.thinned(100, 8)
    assert len(found) == 8 and found[0] == 0 and found[-1] == 99


def test_hostile_names_are_text(tmp_path):
    folder = pictured.hostile(tmp_path / "evil $x_1$")
    record(folder)
    shown = make(folder, "grad_rms")
    for sheet in (maps.layers(shown), maps.profile(shown)):
        assert page.encode(sheet, "pdf")
        inside = sheet.bbox.padded(1)
        boxes = [ax.title.get_window_extent() for ax in sheet.axes]
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    for drawn in (shades.layers(shown), shades.profile(shown)):
        text = pictured.text_of(drawn)
        assert all(cell_len(line) <= 80 for line in text.splitlines()) and "\x1b" not in text
        assert "<script>alert(1)</script>" in "".join(text.split())
