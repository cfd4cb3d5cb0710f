"""A sweep's own figure: what lines and squares say is what the records say, and bad seeds are never averaged away."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from experiments import figure, records
from experiments.figure_spec import Figure, Panel
from experiments.figures import panels, series, squares
from experiments.table_spec import Table
from flax_tx.errors import UserError
from tests.experiments import synthetic, tiny

DEPTH, WIRING, RATE = "model.num_layers", "model.wiring", "optim.learning_rate"
TABLE = Table((WIRING,), (DEPTH,), nuisance=(RATE,), seeds=("seed.init", "seed.data"), baseline={WIRING: "post"})
ENTRIES = 5


def end_of(overrides):
    """Deep Post-LN is stuck, DeepNorm of 12 layers diverges for one seed of three."""
    wiring, depth = overrides[WIRING], overrides[DEPTH]
    if wiring == "post" and depth == 24:
        return "stuck"
    return "diverged" if wiring == "deepnorm" and depth == 12 and overrides["seed.init"] == 1 else "done"


def number(wiring, depth, seed, index):
    """An entry of every probe of a cell."""
    return len(wiring) * 10 + depth + seed + 0.1 * index


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Three wirings, two depths, two rates, three seeds; probes whose rows are in no order."""
    folder = tmp_path_factory.mktemp("figure")
    grid = {"wirings": ("post", "pre", "deepnorm"), "norms": ("layernorm",), "depths": (12, 24), "rates": (1e-3, 3e-3)}
    synthetic.write(folder, **grid, seeds=(0, 1, 2), steps=6, table=TABLE, end_of=end_of, name="drawn")
    for cell, row in records.load(folder).iterrows():
        names = [("stream", i) for i in range(ENTRIES)] + [("angle", i) for i in range(ENTRIES)] + [("update_sgd", 0)]
        names = names[::-1]
        values = [number(row[WIRING], row[DEPTH], row["seed.init"], i) for _, i in names]
        quantity, index = zip(*names, strict=True)
        columns = {"quantity": quantity, "index": index, "head": [0] * len(names), "value": values}
        synthetic.add_probes(folder, cell, columns)
    return folder


def lines_of(workdir, *panels, lines=()):
    """Row -> line, of the only panel."""
    (drawn,) = series.read(workdir, Figure(panels, lines))
    return {line.row[0]: line for line in drawn.content}


def declare(workdir, declared):
    """The sweep with a figure."""
    manifest = records.sweep(workdir)
    records.write_json(workdir / "sweep.json", manifest | {"figure": declared and declared.to_json()})


def test_a_line_is_the_mean_over_seeds_at_the_best_rate(workdir):
    pre = lines_of(workdir, Panel("val_loss", DEPTH))["pre"]
    frame = records.load(workdir)
    means = frame[frame[WIRING] == "pre"].groupby([DEPTH, RATE]).val_loss.mean().groupby(DEPTH).min()
    assert pre.x == [12, 24]
    np.testing.assert_allclose(pre.mean, means)
    assert (pre.low < pre.mean).all() and (pre.mean < pre.high).all()


def test_where_a_seed_went_bad_there_is_no_mean(workdir):
    lines = lines_of(workdir, Panel("val_loss", DEPTH))
    assert np.isnan(lines["post"].mean).tolist() == [False, True]
    assert lines["post"].trouble == {24: "3/3 stuck"}
    assert np.isnan(lines["deepnorm"].mean).tolist() == [True, False]
    assert lines["deepnorm"].trouble == {12: "1/3 diverged"}


def test_entries_of_a_probe_are_in_order_of_index(workdir):
    pre = lines_of(workdir, Panel("stream", at={DEPTH: 12}))["pre"]
    expected = [np.mean([number("pre", 12, seed, i) for seed in range(3)]) for i in range(ENTRIES)]
    np.testing.assert_allclose(pre.mean, expected)
    assert pre.x == list(range(ENTRIES))


def test_what_was_measured_before_training_counts_however_it_ended(workdir):
    assert len(lines_of(workdir, Panel("stream", at={DEPTH: 24}))["post"].mean) == ENTRIES
    after = lines_of(workdir, Panel("angle", at={DEPTH: 24}))["post"]
    assert (len(after.mean), after.trouble) == (0, {None: "3/3 stuck"})


def test_a_probe_of_one_number_goes_over_a_field(workdir):
    post = lines_of(workdir, Panel("update_sgd", DEPTH))["post"]
    np.testing.assert_allclose(post.mean, [number("post", depth, 1, 0) for depth in (12, 24)])


def test_a_retuned_field_may_be_the_axis(workdir):
    lines = lines_of(workdir, Panel("val_loss", RATE, at={DEPTH: 12, WIRING: "pre"}))
    assert lines["pre"].x == [1e-3, 3e-3]


def test_a_panel_without_cells_is_left_out(workdir):
    drawn = series.read(workdir, Figure((Panel("val_loss", DEPTH), Panel("stream", at={DEPTH: 48}))))
    assert [one.panel.y for one in drawn] == ["val_loss"]


@pytest.mark.parametrize(
    ("panel", "expected"),
    [
        (Panel("stream"), r"model\.num_layers varies \(12, 24\); expected it in at"),
        (Panel("strem", at={DEPTH: 12}), "did you mean stream"),
        (Panel("stream", DEPTH), 'an entry per layer; expected x="index"'),
        (Panel("stream", at={DEPTH: 48}), "no cell of .* is in any of its panels"),
    ],
)
def test_a_panel_that_cannot_be_drawn_is_a_line(workdir, panel, expected):
    with pytest.raises(UserError, match=expected):
        series.read(workdir, Figure((panel,)))


def test_a_heat_map_says_numbers_and_what_went_bad(workdir):
    at = {WIRING: "deepnorm"}, {WIRING: "post"}
    heats = Figure(tuple(Panel("val_loss", RATE, kind="heat", y_field=DEPTH, at=one) for one in at))
    drawn = series.read(workdir, heats)
    frame = records.load(workdir)
    mine = frame[(frame[WIRING] == "deepnorm") & (frame[DEPTH] == 24)]
    np.testing.assert_allclose(drawn[0].content.mean[1], mine.groupby(RATE).val_loss.mean())
    assert np.isnan(drawn[0].content.mean[0]).all()
    page = panels.draw(heats, drawn)
    texts = [{text.get_text() for text in ax.texts} for ax in page.axes]
    assert "1/3\ndiverged" in texts[0]
    assert "3/3\nstuck" in texts[1]
    assert squares.limits(drawn, "val_loss")[0] == min(np.nanmin(one.content.mean) for one in drawn)


def test_ink_can_be_read_on_every_colour():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    for share in np.linspace(0, 1, 50):
        colour = squares.COLOURS[True](share)
        low, high = sorted((luminance(colour), luminance(squares.ink(colour))))
        assert (high + 0.05) / (low + 0.05) > 3


def test_a_cross_stands_where_an_arm_is_lost(workdir):
    shown = Figure((Panel("val_loss", DEPTH, log_x=True),))
    page = panels.draw(shown, series.read(workdir, shown))
    crosses = [line for line in page.axes[0].lines if line.get_marker() == "x"]
    assert sorted(float(line.get_xdata()[0]) for line in crosses) == [12, 24]
    assert "stuck or diverged" in [text.get_text() for text in page.legends[0].get_texts()]


def test_many_lines_can_be_told_apart(workdir):
    (drawn,) = series.read(workdir, Figure((Panel("stream", at={DEPTH: 12}),)))
    many = dataclasses.replace(
        drawn, content=[dataclasses.replace(drawn.content[0], row=(f"w{i}",)) for i in range(24)]
    )
    styles = panels.styles_of(Figure((drawn.panel,), labels={"w3": "third"}), [many])
    looks = {(style["color"], str(style["linestyle"]), style["marker"]) for style in styles.values()}
    assert len(looks) == 24
    assert len({(style["color"], str(style["linestyle"])) for style in styles.values()}) == 24
    assert styles["w3",]["label"] == "third"


def test_the_same_records_give_the_same_bytes(workdir, tmp_path):
    declare(workdir, Figure((Panel("val_loss", DEPTH), Panel("stream", at={DEPTH: 12}, log_x=True, log_y=True))))
    assert figure.picture(workdir, "svg") == figure.picture(workdir, "svg")
    figure.main([f"--workdir={workdir}", f"--out={tmp_path / 'f.pdf'}"])
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("declared", "out", "expected"),
    [
        (None, "f.png", "the sweep declares no figure"),
        (Figure((Panel("val_loss", "model.num_layrs"),)), "f.png", "did you mean model.num_layers"),
        (Figure((Panel("val_loss", DEPTH),)), "f.jpg", "expected a name that ends in"),
        (Figure((Panel("val_loss", DEPTH),), columns=[None]), "f.png", "sweep.json: figure.columns = .*expected int"),
    ],
)
def test_a_figure_that_cannot_be_made_is_a_line_and_writes_nothing(workdir, tmp_path, declared, out, expected):
    declare(workdir, declared)
    with pytest.raises(UserError, match=expected):
        figure.main([f"--workdir={workdir}", f"--out={tmp_path / out}"])
    assert not list(tmp_path.iterdir())


def test_where_no_figure_can_be_written_is_a_line(workdir, tmp_path):
    declare(workdir, Figure((Panel("val_loss", DEPTH),)))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write there"):
        figure.main([f"--workdir={workdir}", f"--out={tmp_path / 'file' / 'f.svg'}"])


def test_drawing_and_publishing_know_no_jax():
    script = "import sys; from experiments import figure, publish; from experiments.figures import panels\n"
    script += "print([name for name in ('jax', 'flax', 'matplotlib.pyplot') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tiny.ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
