"""Curves: nothing averaged that should not be, a gap where a seed died, on the axes and with the lines asked for."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from experiments import compare, records, traces
from experiments.figures import curves as making
from experiments.figures import drawing, floors, plot, terminal
from experiments.statistics import estimate, noise_floor
from experiments.view import select
from flax_tx.errors import UserError
from tests.experiments import pictured, synthetic
from tests.experiments.pictured import DEPTH


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return pictured.whole(tmp_path_factory.mktemp("runs") / "alice" / "depth")


@pytest.fixture(scope="module")
def drawn(workdir):
    """(row, column) -> curve, unsmoothed."""
    return pictured.by_place(plot.make(workdir, smooth=0.0))


def test_ema_is_its_definition_and_stops_at_the_first_bad_value():
    values = np.random.default_rng(0).normal(size=20)
    weights = 0.9 ** np.subtract.outer(np.arange(20), np.arange(20)) * np.tri(20)
    np.testing.assert_allclose(making.ema(values, 0.9), weights @ values / weights.sum(axis=1))
    np.testing.assert_array_equal(making.ema(values, 0.0), values)
    values[7] = np.inf
    assert np.isfinite(making.ema(values, 0.9)[:7]).all() and np.isnan(making.ema(values, 0.9)[7:]).all()


def test_mean_and_band_are_those_of_the_seeds_at_the_best_rate(drawn, workdir):
    for curve in drawn.values():
        cells = [trial.cell for trial in curve.arm.trials.values()]
        raw = records.load_metrics(workdir, cells).pivot(index="step", columns="cell", values="train_loss")[cells]
        np.testing.assert_allclose(curve.seeds, raw.to_numpy().T)
        shown = estimate(curve.seeds[:, 3])
        np.testing.assert_allclose([curve.mean[3], curve.low[3], curve.high[3]], [shown.mean, shown.low, shown.high])


def test_where_a_seed_dies_the_mean_stops_and_the_others_go_on(drawn):
    curve = drawn["rezero", "layernorm", 24]
    assert np.isfinite(curve.mean[:24]).all() and np.isnan(curve.mean[24:]).all() and np.isnan(curve.high[24:]).all()
    assert np.isfinite(curve.seeds[:, -1]).sum() == 2
    assert [(end.status, end.x) for end in curve.ends] == [("diverged", 23)]
    assert not drawn["pre", "layernorm", 24].ends and not drawn["pre", "layernorm", 24].trouble


def test_where_seeds_end_stuck_the_mean_is_of_all_and_says_so(drawn):
    curve = drawn["post", "layernorm", 24]
    assert [end.status for end in curve.ends] == ["stuck"] * 3 and curve.trouble == "3/3 stuck"
    np.testing.assert_allclose([end.value for end in curve.ends], curve.seeds[:, -1])
    assert np.isfinite(curve.mean).all()


def test_a_seed_that_failed_leaves_no_mean_and_one_that_is_missing_is_counted(tmp_path):
    failed = pictured.by_place(plot.make(pictured.small(tmp_path / "a", end_of=pictured.ending(_1="failed"))))[
        "pre", "layernorm", 6
    ]
    assert len(failed.seeds) == 2 and np.isnan(failed.mean).all() and failed.trouble == "1/3 failed"
    missing = pictured.by_place(plot.make(pictured.small(tmp_path / "b", end_of=pictured.ending(_1="missing"))))[
        "pre", "layernorm", 6
    ]
    np.testing.assert_allclose(missing.mean, missing.seeds.mean(axis=0))
    assert len(missing.seeds) == 2 and missing.trouble == "1/3 missing"


def test_on_a_logarithmic_axis_mean_and_band_are_of_logarithms(workdir):
    made = plot.make(workdir, log_y=True)
    for curve in made.curves:
        shown = estimate(np.log(curve.seeds[:, 20]))
        expected = np.exp([shown.mean, shown.low, shown.high])
        np.testing.assert_allclose([curve.mean[20], curve.low[20], curve.high[20]], expected)
    rezero = pictured.by_place(made)["rezero", "layernorm", 24]
    assert np.isnan(rezero.mean[24:]).all() and np.isnan(rezero.low[24:]).all()
    assert "geometric mean and 95 % t band" in made.method(drawing.BAND)[0]


def test_diagnostics_of_a_seed_that_diverged_end_before_its_bad_step(tmp_path):
    folder = pictured.small(tmp_path / "a", end_of=pictured.ending(_1="diverged"))  # at step 12 of 30
    curve = pictured.by_place(plot.make(folder, "layers/stream_rms"))["pre", "layernorm", 6]
    assert curve.step.tolist() == [9, 19, 29]
    assert np.isfinite(curve.seeds).sum(axis=1).tolist() == [3, 1, 3]
    assert np.isfinite(curve.mean).tolist() == [True, False, False]


def test_a_seed_that_diverges_at_once_has_its_sign_on_the_edge(tmp_path):
    folder = pictured.small(tmp_path / "a", end_of=pictured.ending(_1="diverged"))
    made = plot.make(folder)
    cell = next(cell for cell, row in records.load(folder).iterrows() if row.status == "diverged")
    columns = {"step": [1], "train_loss": [np.nan], "grad_norm": [1.0], "learning_rate": [1e-3]}
    synthetic.put(folder, cell, "metrics.parquet", columns)
    made = plot.make(folder)
    (end,) = pictured.by_place(made)["pre", "layernorm", 6].ends
    assert end.value == np.inf and np.isnan(pictured.by_place(made)["pre", "layernorm", 6].mean).all()
    ax = drawing.draw(made).axes[0]
    (cross,) = (line for line in ax.lines if line.get_marker() == "X")
    assert cross.get_ydata()[0] == ax.get_ylim()[1]
    assert "✕" in pictured.text_of(terminal.draw(made, 80))


@pytest.mark.parametrize(
    ("x", "length"),
    [
        ("step", lambda row: 1),
        ("tokens", lambda row: row["train.batch_size"] * row["data.seq_len"]),
        ("flops", lambda row: row["flops_per_step"]),
        ("seconds", lambda row: row["train_seconds"] / 59),
    ],
)
def test_x_is_the_step_times_what_a_step_takes(workdir, x, length):
    made, frame = plot.make(workdir, x=x), records.load(workdir)
    for curve in made.curves:
        lengths = [length(frame.loc[trial.cell]) for trial in curve.arm.trials.values()]
        np.testing.assert_allclose(curve.seed_x, np.outer(lengths, np.arange(60)))
        np.testing.assert_allclose(curve.x, np.mean(lengths) * np.arange(60))
    assert drawing.draw(made).axes[0].get_xlabel().replace("\n", " ") == making.X_AXES[x].label


def test_seconds_are_those_of_each_seed(tmp_path):
    folder = pictured.small(tmp_path / "a")
    for i, cell in enumerate(records.sweep(folder)["cells"]):
        path = records.cell_dir(folder, cell) / "summary.json"
        synthetic.put(folder, cell, path.name, records.read_json(path) | {"train_seconds": 29.0 * (i + 1)})
    curve = pictured.by_place(plot.make(folder, x="seconds"))["pre", "layernorm", 6]
    np.testing.assert_allclose(curve.lengths, [1, 2, 3])
    np.testing.assert_allclose(curve.x, 2 * curve.step)


def test_what_no_cell_can_be_placed_by_is_a_line(tmp_path):
    folder = pictured.small(tmp_path / "a")
    cell = records.sweep(folder)["cells"][0]
    path = records.cell_dir(folder, cell) / "summary.json"
    synthetic.put(folder, cell, path.name, records.read_json(path) | {"flops_per_step": None})
    with pytest.raises(UserError, match=f"x 'flops': 1 cells of .* have no flops, such as {cell}"):
        plot.make(folder, x="flops")


# which metric


def test_a_metric_goes_by_either_name(workdir):
    assert traces.parse("train/loss", [workdir]) == traces.parse("train_loss", [workdir]) == traces.Trace("train_loss")
    assert traces.parse("grad_norm", [workdir]).words == "gradient norm"


@pytest.mark.parametrize(
    ("over", "reduce"),
    [
        ("", lambda layers: layers.mean(axis=1)),
        (":max", lambda layers: layers.max(axis=1)),
        (":min", lambda layers: layers.min(axis=1)),
        (":first", lambda layers: layers[:, 0]),
        (":last", lambda layers: layers[:, -1]),
        (":2", lambda layers: layers[:, 1]),
    ],
)
def test_a_diagnostic_is_reduced_over_layers(tmp_path, over, reduce):
    folder, values = pictured.small(tmp_path / "a"), {}
    for i, cell in enumerate(records.sweep(folder)["cells"]):
        values[cell] = np.random.default_rng(i).lognormal(size=(4, 3))
        columns = {"step": np.repeat(np.arange(1, 5), 3), "layer": np.tile(np.arange(1, 4), 4)}
        columns |= {"grad_rms": values[cell].ravel(), "logit_max": values[cell].ravel()}
        synthetic.put(folder, cell, "layers.parquet", columns)
    for curve in plot.make(folder, f"layers/grad_rms{over}").curves:
        np.testing.assert_allclose(curve.seeds, [reduce(values[cell]) for cell in curve.cells])
    assert traces.parse("layers/logit_max", [folder]).over == "max"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("train/los", r"one of train/loss, grad_norm, learning_rate, layers/stream_rms, over .*mean train/loss"),
        ("layers/strem_rms", r"expected one of layers/stream_rms; did you mean layers/stream_rms"),
        ("layers/stream_rms:maxx", r"max, mean, min, first, last, the number of a layer after the colon; did you mean"),
        ("layers/stream_rms:0", r"the number of a layer after the colon"),
    ],
)
def test_a_metric_that_nobody_recorded_is_a_line_with_those_there_are(workdir, metric, expected):
    with pytest.raises(UserError, match=expected):
        plot.make(workdir, metric)


def test_a_sweep_without_a_result_is_a_line(tmp_path):
    with pytest.raises(UserError, match="no cell has recorded it"):
        plot.make(pictured.small(tmp_path / "a", end_of=lambda overrides: "missing"))


# which arms


def test_a_field_that_would_be_mixed_is_refused_and_may_be_chosen(workdir):
    with pytest.raises(UserError, match=r"model\.num_layers varies \(6, 12, 24\)"):
        select(workdir, facet="", group_by="model.wiring")
    view = select(workdir, where="depth=24,wiring=pre|rezero", facet="", group_by="wiring")
    assert view.rows == [("pre",), ("rezero",)] and view.panels == [()]
    rates = select(workdir, where="wiring=pre", group_by="lr")
    assert rates.rows == [(1e-3,), (3e-3,)] and rates.panels == [(6,), (12,), (24,)]
    assert not any(arm.choice.tuned for _, _, arm in rates.arms)
    assert select(workdir, where="depth=6", facet="wiring").lines_in == ("model.norm.kind",)


def test_what_all_arms_share_is_said_and_what_is_retuned_is_not(workdir):
    assert select(workdir, where="depth=6").common == "norm.kind=layernorm"
    assert select(workdir, where="depth=6,lr=3e-3").common == "norm.kind=layernorm, learning_rate=3e-3"
    assert select(workdir, where="depth=6,wiring=pre").common == "wiring=pre, norm.kind=layernorm"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"where": "model.wirng=pre"}, ["did you mean model.wiring?"]),
        ({"where": "wirng=pre", "group_by": "wirin", "facet": "depht"}, ["where", "group_by", "facet"]),
        ({"group_by": "width"}, ["every cell"]),
        ({"group_by": "wiring", "facet": "wiring"}, ["expected it in one of them"]),
        ({"where": "wiring=pre,depth=7"}, ["expected one of 6, 12, 24"]),
        ({"x": "stepp", "smooth": 1.5, "metric": "loss", "where": "a=b"}, ["where", "metric", "x ", "smooth"]),
    ],
)
def test_mistakes_are_a_line_each_and_all_at_once(workdir, flags, expected):
    with pytest.raises(UserError) as error:
        plot.make(workdir, **flags)
    assert len(error.value.problems) == len(expected)
    assert all(word in line for word, line in zip(expected, error.value.problems, strict=True))


def test_a_table_that_shows_some_cells_only_says_so_unless_others_are_asked_for(tmp_path):
    table = dataclasses.replace(pictured.PRE, columns=(), only={DEPTH: 6})
    folder = pictured.small(tmp_path / "a", depths=(6, 12), table=table)
    assert "num_layers=6" in plot.make(folder).view.common
    assert select(folder, facet="depth").panels == [(6,), (12,)]
    assert "num_layers=12" in select(folder, where="depth=12").common


def test_the_noise_floor_is_the_spread_of_where_the_baseline_ends(workdir):
    made = plot.make(workdir)
    ends = [c.seeds[:, -1] for place, c in pictured.by_place(made).items() if place[0] == "pre"]
    (floor,) = made.floors
    np.testing.assert_allclose([floor.sd, floor.dof], noise_floor(ends))
    assert floor.of == "the baseline wiring=pre"
    sheet = drawing.draw(made)
    bars = [ax.containers[0] for ax in sheet.axes]
    for bar, panel in zip(bars, made.view.panels, strict=True):
        (low, high) = bar.lines[2][0].get_segments()[0][:, 1]
        np.testing.assert_allclose([(high - low) / 2, (high + low) / 2], [floor.sd, floor.levels[panel]], rtol=1e-6)
    words = "\n".join(word.get_text() for word in sheet.texts)
    assert (
        f"noise floor {floors.two_digits(floor.sd)} ({floor.dof} degrees of freedom): pooled SD over seeds of where"
        in words
    )
    assert "of where the curves of the baseline wiring=pre end" in words
    assert f"noise floor {floors.two_digits(floor.sd)}" in pictured.text_of(terminal.draw(made, 80))


def test_without_its_baseline_the_floor_is_of_the_arms_shown_and_stuck_seeds_are_in_none(workdir):
    made = plot.make(workdir, where="wiring=post|deepnorm")
    (floor,) = made.floors
    trained = [curve.seeds[:, -1] for curve in made.curves if not curve.trouble]
    np.testing.assert_allclose([floor.sd, floor.dof], noise_floor(trained))
    assert floor.of == "all arms shown" and len(trained) < len(made.curves)


def test_the_entropies_are_those_of_the_data(workdir):
    made = plot.make(workdir)
    assert [(r.name, v) for r, v in made.references((6,))] == [
        ("unigram entropy", synthetic.UNIGRAM),
        ("bigram loss", synthetic.BIGRAM),
    ]
    assert made.y_range[0] < synthetic.BIGRAM < synthetic.UNIGRAM < made.y_range[1]
    assert not plot.make(workdir, "grad_norm").references((6,))


def test_where_the_entropy_rate_is_known_it_stands_for_the_bigram_loss(tmp_path):
    folder = pictured.small(tmp_path / "a")
    manifest = records.sweep(folder)
    data = {name: about | {"floor_loss": synthetic.FLOOR} for name, about in manifest["data"].items()}
    records.write_json(folder / "sweep.json", manifest | {"data": data})
    names = [reference.name for reference, _ in plot.make(folder).references((6,))]
    assert names == ["unigram entropy", "entropy rate H*"]


def test_without_out_the_command_prints_and_writes_nothing(workdir, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare.main([f"--workdir={workdir}", "--where=depth=6", "--x=tokens", "--smooth=0.5"])
    printed = capsys.readouterr().out
    assert "tokens (step × batch × sequence length)" in printed and "EMA 0.5" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--out=a.jpg", "--where=wirng=pre"], ["where 'wirng'", "expected a name that ends in .png, .pdf, .svg"]),
        (["--workdir=nowhere"], ["no such folder"]),
    ],
)
def test_mistakes_of_the_command_are_lines(workdir, arguments, expected):
    with pytest.raises(UserError) as error:
        compare.main([f"--workdir={workdir}", *arguments])
    assert all(any(word in line for line in error.value.problems) for word in expected)


def test_the_command_ends_with_status_2_without_a_traceback(workdir):
    command = [sys.executable, "-m", "experiments.compare", f"--workdir={workdir}", "--where=wirng=pre"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "where 'wirng': no such field; did you mean wiring?\n"
