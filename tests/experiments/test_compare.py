"""Curves: nothing averaged that should not be, a gap where a seed died, and a picture that says how it was made."""

import dataclasses
import io
import re
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from rich.cells import cell_len
from rich.console import Console

from experiments import compare, overlay, records, traces
from experiments.figures import curves as making
from experiments.figures import drawing, page, plot, terminal, text
from experiments.figures.looks import looks
from experiments.metrics import METRICS
from experiments.statistics import estimate, noise_floor
from experiments.view import select
from flax_tx.errors import UserError
from tests.experiments import synthetic

WIRING, DEPTH, RATE = "model.wiring", "model.num_layers", "optim.learning_rate"
PRE = dataclasses.replace(synthetic.TABLE, baseline={WIRING: "pre"})
HOSTILE = {
    "pre": "Pre-LN <script>alert(1)</script> $\\alpha_{1}$ & 100 % [red]x[/red] 深さ " + "x" * 170,
    "post": "_post\x1b[31m \x07$a$",
    "deepnorm": "深さ" * 20,
    6: "six $ layers",
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "alice" / "depth"
    synthetic.write(folder, norms=("layernorm",), seeds=(0, 1, 2), table=PRE)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Somebody else's sweep: fewer wirings and depths, a fourth seed, and a norm more."""
    folder = tmp_path_factory.mktemp("runs") / "bob" / "depth"
    synthetic.write(folder, ("pre", "deepnorm"), ("layernorm", "rmsnorm"), (6, 24), seeds=(0, 1, 2, 3), table=PRE)
    return folder


@pytest.fixture(scope="module")
def drawn(workdir):
    """(row, column) -> curve, unsmoothed."""
    return by_place(plot.make(workdir, smooth=0.0))


def by_place(made):
    return {(*curve.arm.place.row, *curve.arm.place.column): curve for curve in made.curves}


def text_of(made, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    console.print(terminal.draw(made, width))
    return console.file.getvalue()


def ending(**ends):
    """The end of the seeds of Pre-LN at 6 layers: `_0="stuck"`."""

    def end_of(overrides):
        mine = overrides[WIRING] == "pre" and overrides[DEPTH] == 6
        return ends.get(f"_{overrides['seed.init']}", "done") if mine else "done"

    return end_of


def small(folder, **changes):
    """Two wirings, one depth, one rate, three seeds."""
    grid = {"wirings": ("pre", "deepnorm"), "norms": ("layernorm",), "depths": (6,), "rates": (1e-3,)}
    synthetic.write(folder, **grid | {"seeds": (0, 1, 2), "steps": 30, "table": PRE} | changes)
    return folder


# what is drawn


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
    failed = by_place(plot.make(small(tmp_path / "a", end_of=ending(_1="failed"))))["pre", "layernorm", 6]
    assert len(failed.seeds) == 2 and np.isnan(failed.mean).all() and failed.trouble == "1/3 failed"
    missing = by_place(plot.make(small(tmp_path / "b", end_of=ending(_1="missing"))))["pre", "layernorm", 6]
    np.testing.assert_allclose(missing.mean, missing.seeds.mean(axis=0))
    assert len(missing.seeds) == 2 and missing.trouble == "1/3 missing"


def test_a_seed_that_diverges_at_once_has_its_sign_on_the_edge(tmp_path):
    folder = small(tmp_path / "a", end_of=ending(_1="diverged"))
    made = plot.make(folder)
    cell = next(cell for cell, row in records.load(folder).iterrows() if row.status == "diverged")
    path = records.cell_dir(folder, cell) / "metrics.parquet"
    records.write_parquet(path, {"step": [1], "train_loss": [np.nan], "grad_norm": [1.0], "learning_rate": [1e-3]})
    made = plot.make(folder)
    (end,) = by_place(made)["pre", "layernorm", 6].ends
    assert end.value == np.inf and np.isnan(by_place(made)["pre", "layernorm", 6].mean).all()
    ax = drawing.draw(made).axes[0]
    (cross,) = (line for line in ax.lines if line.get_marker() == "X")
    assert cross.get_ydata()[0] == ax.get_ylim()[1]
    assert "✕" in text_of(made)


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
    folder = small(tmp_path / "a")
    for i, cell in enumerate(records.sweep(folder)["cells"]):
        path = records.cell_dir(folder, cell) / "summary.json"
        records.write_json(path, records.read_json(path) | {"train_seconds": 29.0 * (i + 1)})
    curve = by_place(plot.make(folder, x="seconds"))["pre", "layernorm", 6]
    np.testing.assert_allclose(curve.lengths, [1, 2, 3])
    np.testing.assert_allclose(curve.x, 2 * curve.step)


def test_what_no_cell_can_be_placed_by_is_a_line(tmp_path):
    folder = small(tmp_path / "a")
    cell = records.sweep(folder)["cells"][0]
    path = records.cell_dir(folder, cell) / "summary.json"
    records.write_json(path, records.read_json(path) | {"flops_per_step": None})
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
    folder, values = small(tmp_path / "a"), {}
    for i, cell in enumerate(records.sweep(folder)["cells"]):
        values[cell] = np.random.default_rng(i).lognormal(size=(4, 3))
        columns = {"step": np.repeat(np.arange(1, 5), 3), "layer": np.tile(np.arange(1, 4), 4)}
        path = records.cell_dir(folder, cell) / "layers.parquet"
        records.write_parquet(path, columns | {"grad_rms": values[cell].ravel(), "logit_max": values[cell].ravel()})
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
        plot.make(small(tmp_path / "a", end_of=lambda overrides: "missing"))


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
    table = dataclasses.replace(PRE, columns=(), only={DEPTH: 6})
    folder = small(tmp_path / "a", depths=(6, 12), table=table)
    assert "num_layers=6" in plot.make(folder).view.common
    assert select(folder, facet="depth").panels == [(6,), (12,)]
    assert "num_layers=12" in select(folder, where="depth=12").common


# several sweeps


def test_sweeps_go_by_what_tells_their_folders_apart(tmp_path):
    assert overlay.names([tmp_path / "a"]) == [""]
    assert overlay.names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert overlay.names([tmp_path / "a" / "runs" / "x", tmp_path / "b" / "runs" / "x"]) == ["a", "b"]
    assert overlay.names([tmp_path / "x", tmp_path / "b" / "x"]) == [tmp_path.name, "b"]
    assert overlay.names([tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / "b" / "y"]) == ["a/x", "b/x", "b/y"]
    with pytest.raises(UserError, match="it is there twice"):
        overlay.names([tmp_path / "a", tmp_path / "b" / ".." / "a"])


def test_two_sweeps_are_drawn_over_each_other_and_every_line_says_which(workdir, other):
    made = plot.make([workdir, other], where="norm=layernorm")
    of_alice = [f"{wiring} · alice" for wiring in synthetic.WIRINGS]
    names = [made.view.name(line) for line in made.lines]
    assert names == [*of_alice[:2], "pre · bob", *of_alice[2:4], "deepnorm · bob", *of_alice[4:]]
    assert made.view.panels == [(6,), (12,), (24,)]
    assert {curve.line.sweeps for curve in made.within((12,))} == {("alice",)}
    alone = by_place(plot.make(other, where="norm=layernorm"))
    (curve,) = (c for c in made.within((24,)) if made.view.name(c.line) == "pre · bob")
    np.testing.assert_array_equal(curve.seeds, alone["pre", "layernorm", 24].seeds)
    words = "\n".join(word.get_text() for word in drawing.draw(made).texts)
    assert "24 cells are in both alice and bob, with the same numbers" in words


def test_arms_with_equal_cells_are_drawn_once(workdir, tmp_path):
    twin = tmp_path / "twin"
    synthetic.write(twin, norms=("layernorm",), depths=(6, 12), seeds=(0, 1, 2), table=PRE)
    made = plot.make([workdir, twin], where="depth=6|12")
    assert {curve.line.sweeps for curve in made.curves} == {("depth", "twin")}
    assert len(made.curves) == len(plot.make(twin).curves)
    assert "pre · depth, twin" in [made.view.name(line) for line in made.lines]


def test_equal_cells_with_other_numbers_are_drawn_twice_and_said(tmp_path):
    one, two = small(tmp_path / "one"), small(tmp_path / "two")
    cell = plot.make(one).curves[0].cells[0]
    path = records.cell_dir(two, cell) / "metrics.parquet"
    frame = records.load_metrics(two, [cell])
    columns = {name: frame[name].to_numpy() for name in ("step", "train_loss", "grad_norm", "learning_rate")}
    records.write_parquet(path, columns | {"train_loss": columns["train_loss"] + 0.5})
    made = plot.make([one, two])
    assert sorted(curve.line.sweeps for curve in made.curves) == [("one",), ("one", "two"), ("two",)]
    assert "6 cells are in both one and two, 1 of them with other numbers" in made.notes


def test_what_is_not_comparable_is_said(tmp_path):
    one, two = small(tmp_path / "one"), small(tmp_path / "two", steps=40)
    manifest = records.sweep(two)
    data = {name: about | {"fingerprint": "1e" * 16, "task": "classify"} for name, about in manifest["data"].items()}
    records.write_json(two / "sweep.json", manifest | {"data": data})
    notes = "\n".join(plot.make([one, two]).notes)
    assert "data differ, so losses are not comparable: kjv 0f0f0f0f0f0f in one, kjv 1e1e1e1e1e1e in two" in notes
    assert "losses are in nats per token in one, nats per document in two" in notes
    assert "sweeps differ in steps 30 in one, 40 in two" in notes
    assert not plot.make(one).notes


# the noise floor and the entropies


def test_the_noise_floor_is_the_spread_of_where_the_baseline_ends(workdir):
    made = plot.make(workdir)
    ends = [c.seeds[:, -1] for place, c in by_place(made).items() if place[0] == "pre"]
    (floor,) = made.floors
    np.testing.assert_allclose([floor.sd, floor.dof], noise_floor(ends))
    assert floor.of == "the baseline wiring=pre"
    sheet = drawing.draw(made)
    bars = [ax.containers[0] for ax in sheet.axes]
    for bar, panel in zip(bars, made.view.panels, strict=True):
        (low, high) = bar.lines[2][0].get_segments()[0][:, 1]
        np.testing.assert_allclose([(high - low) / 2, (high + low) / 2], [floor.sd, floor.levels[panel]], rtol=1e-6)
    words = "\n".join(word.get_text() for word in sheet.texts)
    assert f"noise floor {floor.sd:.2g}: SD over seeds of where the curves end, of the baseline wiring=pre" in words
    assert f"noise floor {floor.sd:.2g}" in text_of(made)


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
    folder = small(tmp_path / "a")
    manifest = records.sweep(folder)
    data = {name: about | {"floor_loss": synthetic.FLOOR} for name, about in manifest["data"].items()}
    records.write_json(folder / "sweep.json", manifest | {"data": data})
    names = [reference.name for reference, _ in plot.make(folder).references((6,))]
    assert names == ["unigram entropy", "entropy rate H*"]


# the picture on paper


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


def test_log_axes_are_logarithmic_where_asked_or_where_decades_are_spanned(workdir):
    ax = drawing.draw(plot.make(workdir, log_x=True, log_y=True)).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert drawing.draw(plot.make(workdir)).axes[0].get_yscale() == "linear"
    assert plot.make(workdir, "grad_norm").log_y and not plot.make(workdir, "learning_rate").log_y


# hostile names


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "evil $x_1$ 深さ [red]"
    title = "Title $x_1$ 深さ <b>bold</b> \\frac{1}{2} [bold]x[/bold] " + "w" * 150
    table = dataclasses.replace(PRE, labels=HOSTILE, title=title)
    wirings = ("post", "pre", "deepnorm")
    synthetic.write(folder, wirings, ("layernorm",), (6, 12), seeds=(0, 1), steps=20, table=table)
    return folder


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


# the picture in a terminal


def test_the_terminal_shows_panels_names_entropies_and_troubles_in_80_columns(workdir):
    made = plot.make(workdir)
    shown = text_of(made)
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
            end = made.final(curve)
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
    folder = small(tmp_path / "a", wirings=("pre",))
    made = plot.make(folder)
    rows = terminal.picture(made, (6,), {made.lines[0]: ("a", "default")}, 80).plain.splitlines()[: terminal.HIGH - 2]
    low, high = made.y_range
    dashes = next(i for i, row in enumerate(rows) if row.count("┈") > 20)
    assert abs(dashes - (high - synthetic.UNIGRAM) / (high - low) * (len(rows) - 1)) <= 1
    last = max(i for i, row in enumerate(rows) if any("⠀" < c <= "⣿" or c == "a" for c in row))
    assert abs(last - (high - made.curves[0].mean[-1]) / (high - low) * (len(rows) - 1)) <= 1


def test_hostile_names_are_text_in_the_terminal(hostile):
    shown = text_of(plot.make(hostile))
    assert all(cell_len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown and "\x07" not in shown
    flat = "".join(shown.split())
    assert "<script>alert(1)</script>" in flat and "[red]x[/red]" in flat and "[bold]x[/bold]" in flat
    assert "Title$x_1$深さ<b>bold</b>\\frac{1}{2}" in flat and "six$layers" in flat


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
