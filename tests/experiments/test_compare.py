"""Curves: nothing averaged that should not be, a gap where a seed died, and a picture that says how it was made."""

import numpy as np
import pytest

from experiments import compare, records
from experiments.figures import drawing
from experiments.figures.curves import curves, ema
from experiments.statistics import estimate
from flax_tx.errors import UserError
from tests.experiments import synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder, norms=("layernorm",), seeds=(0, 1, 2))
    return folder


def test_ema_is_its_definition_and_stops_at_the_first_bad_value():
    values = np.random.default_rng(0).normal(size=20)
    weights = 0.9 ** np.subtract.outer(np.arange(20), np.arange(20)) * np.tri(20)
    np.testing.assert_allclose(ema(values, 0.9), weights @ values / weights.sum(axis=1))
    np.testing.assert_array_equal(ema(values, 0.0), values)
    values[7] = np.inf
    assert np.isfinite(ema(values, 0.9)[:7]).all() and np.isnan(ema(values, 0.9)[7:]).all()


def test_mean_and_band_are_those_of_the_seeds_at_the_best_rate(workdir):
    for curve in curves(compare.select(workdir), "train_loss", 0.0):
        cells = [trial.cell for trial in curve.arm.trials.values()]
        raw = records.load_metrics(workdir, cells).pivot(index="step", columns="cell", values="train_loss")[cells]
        np.testing.assert_allclose(curve.seeds, raw.to_numpy().T)
        shown = estimate(curve.seeds[:, 3])
        np.testing.assert_allclose([curve.mean[3], curve.low[3], curve.high[3]], [shown.mean, shown.low, shown.high])


def test_where_a_seed_dies_the_mean_stops_and_the_others_go_on(workdir):
    drawn = {(*c.arm.place.row, *c.arm.place.column): c for c in curves(compare.select(workdir), "train_loss", 0.9)}
    curve = drawn["rezero", "layernorm", 24]
    assert np.isfinite(curve.mean[:24]).all() and np.isnan(curve.mean[24:]).all() and np.isnan(curve.high[24:]).all()
    assert np.isfinite(curve.seeds[:, -1]).sum() == 2 and [step for step, _ in curve.last] == [23]
    assert not drawn["pre", "layernorm", 24].last


def test_a_field_that_would_be_mixed_is_refused_and_may_be_chosen(workdir):
    with pytest.raises(UserError, match=r"model.num_layers varies \(6, 12, 24\)"):
        compare.select(workdir, facet="", group_by="model.wiring")
    report = compare.select(workdir, where="num_layers=24,wiring=pre|rezero", facet="", group_by="model.wiring")
    assert [place.row for place in report.arms] == [("pre",), ("rezero",)]
    rates = compare.select(workdir, where="wiring=pre", group_by="optim.learning_rate")
    assert [place.row for place in rates.arms] == [(1e-3,)] * 3 + [(3e-3,)] * 3
    assert not any(arm.choice.tuned for arm in rates.arms.values())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"where": "model.wirng=pre"}, "did you mean model.wiring?"),
        ({"where": "wiring=rezer"}, "did you mean rezero?"),
        ({"where": "wiring"}, "expected field=value"),
        ({"where": "wiring=pre,wiring=post"}, "twice"),
        ({"group_by": "model.wirng"}, "did you mean model.wiring?"),
        ({"facet": "init"}, ""),
    ],
)
def test_mistakes_are_one_line(workdir, flags, expected):
    if not expected:
        assert compare.select(workdir, where="num_layers=6", **flags).spec.columns == ("seed.init",)
        return
    with pytest.raises(UserError) as error:
        compare.select(workdir, **flags)
    assert len(error.value.problems) == 1 and expected in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_picture_is_written_whole_and_twice_the_same(workdir, tmp_path, suffix, capsys):
    out = tmp_path / "pictures" / f"a.{suffix}"
    arguments = [f"--workdir={workdir}", f"--out={out}", "--where=num_layers=6|24"]
    compare.main(arguments)
    first = out.read_bytes()
    compare.main(arguments)
    assert out.read_bytes() == first and str(out) in capsys.readouterr().out
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix])


def test_the_picture_says_how_it_was_made_and_names_each_line_once(workdir):
    report = compare.select(workdir)
    drawn = drawing.draw(report, curves(report, "train_loss", 0.9), "train_loss", 0.9)
    words = "\n".join(text.get_text() for text in drawn.texts)
    assert "each at its best learning_rate" in words and "95 % t band over 3 seeds" in words and "EMA 0.9" in words
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == [*synthetic.WIRINGS, "unigram entropy", "a seed diverged"]
    panels = drawn.axes
    assert [ax.get_title() for ax in panels] == ["num_layers=6", "num_layers=12", "num_layers=24"]
    assert "post 3/3 stuck" in panels[2].texts[0].get_text() and "stuck" not in panels[0].texts[0].get_text()
    assert any(line.get_ydata()[0] == synthetic.UNIGRAM for line in panels[0].lines)
    low, high = panels[0].get_ylim()
    assert low < synthetic.UNIGRAM < high
    styles = {(line.get_color(), line.get_linestyle()) for line in drawn.legends[0].legend_handles[:5]}
    assert len({color for color, _ in styles}) == 5 and len({dash for _, dash in styles}) > 1


def test_a_dollar_in_a_name_is_a_dollar(workdir):
    assert drawing.plain("a$b$") == r"a\$b\$"
