"""Every derived number against arrays whose answer is known, and that a record is read once for all cells."""

import subprocess
import sys

import numpy as np
import pytest

from experiments import records
from experiments.metrics import METRICS, cells, column, columns
from flax_tx.errors import UserError
from tests.experiments import synthetic

S = 16
K = np.arange(S + 1.0)
L = np.arange(8.0)
OUT = "gradient.ffn_1.out"
ENTROPY = {"attention_entropy": np.full(8, 1.5)}
ROW = {"unigram_loss": 3.0, "floor_loss": 1.0, "val_loss": 1.4, "train.steps": 200}
NOISE = np.random.default_rng(0).normal(scale=0.05, size=1000)


def of(name, record, **row):
    """The metric of one cell."""
    record = {key: np.asarray(value, float) for key, value in record.items()}
    return METRICS[name].compute(record, {**ROW, **row})


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("stream_growth", {"stream": 2 + K}, 9),
        ("stream_added", {"stream": 2 + K}, 16),
        ("stream_linear_error", {"stream": 2 + K}, 0),
        ("stream_linear_error", {"stream": np.where(K == 8, 1.1, 1) * (2 + K)}, 0.1),
        ("stream_linear_error", {"stream": np.ones(8)}, np.nan),
        ("stream_linear_r2", {"stream": 2 + 3 * K}, 1),
        ("stream_linear_r2", {"stream": (K - 8) ** 2}, 0),
        ("stream_power", {"stream": np.where(K < 4, 100, 3 * (K + 1e-9) ** 0.27)}, 0.27),
        ("stream_power", {"stream": K[:6]}, np.nan),
        ("stream_bounds", {"stream": 5 + K / 4, **ENTROPY}, 0),
        ("stream_bounds", {"stream": 5 + 0.75 * K, **ENTROPY}, 0),
        ("stream_bounds", {"stream": 5 + 0.1 * K, **ENTROPY}, 8 / 2 - 1.6),
        ("stream_bounds", {"stream": 5 + K * K / 16, **ENTROPY}, 16 - 12),
        ("stream_span", {"stream": [1, 0.5, 2]}, 4),
        ("turn_power", {"turn": 0.5 / (K + 1e-9)}, -1),
        ("turn_level_error", {"turn": np.full(S, 0.6), "branch": np.full(S, 6), "stream": np.full(S + 1, 2.0)}, 0.2),
        ("spread_end", {"spread": [1, 0.5, 0.25]}, 0.25),
        ("spread_4", {"spread": [1, 0.5, 0.25, 0.1, 0.02, 0.01]}, 0.02),
        ("spread_4", {"spread": [1, 0.5, 0.25, 0.1]}, np.nan),
        ("spread_change", {"spread": [0.5, 0.6, 0.4, 0.35]}, 0.3),
        ("collapse_power", {"spread": [0.9, 0.2, 0.2**3, 0.2**7.5, 1e-9]}, 2.5),
        ("collapse_power", {"spread": [0.9, 0.8]}, np.nan),
        ("own_share_end", {"own_share": [1, 0.2]}, 0.2),
        ("growth_exponent", {"stream": np.exp(0.2 * K), **ENTROPY}, 0.2),  # RMS grows by e^0.1 a sublayer
        ("identity_error", {"stream": np.full(3, 2.0), "turn": [0, -1e-7]}, 1e-7),
        ("identity_error", {"stream": [2, 2.5, 2], "turn": [0, 0]}, 0.25),
        ("grad_last", {"gradient.ffn_0.out": L, OUT: 2 + L}, 9),
        ("grad_first", {"gradient.ffn_0.out": L, OUT: 2 + L}, 2),
        ("grad_profile", {"gradient.ffn_0.out": L, OUT: 2 + L}, 4.5),
        ("grad_cv", {OUT: [1, 3]}, 0.5),
        ("gradient_growth_exponent", {OUT: np.exp(-0.3 * L)}, 0.3),
        ("qv_gradient", {"gradient.attention.query": [1, 2], "gradient.attention.value": [1, 8]}, 0.25),
        ("branch_gradient", {"gradient.attention.out": [0, 0], "gradient.attention_add.branch_gain": [1, 2]}, 0),
        ("branch_gradient", {"gradient.attention.out": [0, 3], OUT: [4, 0]}, 4),
        ("gain_gradient", {"gradient.attention.out": [9, 9], "gradient.attention_add.branch_gain": [1, 2]}, 2),
        ("update_sgd", {"update_sgd": [0.13]}, 0.13),
        ("start_loss", {"loss": [4.2]}, 4.2),
        ("attention_entropy_start", {"attention_entropy": [1, 2]}, 1.5),
        ("entropy_share", {"sharp_entropy": [0.75], **ENTROPY}, 0.5),
        ("logit_max_start", {"attention_logit_max": [1, 7, 2]}, 7),
        ("logit_rank", {"attention_rank": [[8, 7, 8]]}, 7),
        ("radial_attention_out", {"radial.attention.out": [0.1, -0.4]}, 0.4),
        ("radial_ffn_in", {"radial.ffn_0.in": [0.1, 0], "radial.ffn_1.in": [0, -0.2], "radial.ffn_0.out": [1, 1]}, 0.2),
        ("rescale_attention_query", {"rescale.attention.query": [0.3]}, 0.3),
        ("layer_loss_deep", {"layer_loss": [9, 9, 0.2, 0.4]}, 0.3),
        ("effective_depth", {"layer_loss": [0.5, 0.07, 0.09, -1]}, 2),  # 5 % of 3.0 - 1.4 is 0.08
        ("angle_deep", {"angle": [9, 9, 9, 9, 0.1, 0.3]}, 0.2),
        ("head_loss_median", {"head_loss": [[1, 2, np.nan], [3, 4, 50]]}, 3),
        ("head_loss_max", {"head_loss": [[1, 2, np.nan], [3, 4, 50]]}, 50),
        ("logit_max", {"attention_logit_max": [[90, 1], [3, 4]]}, 4),
        ("attention_entropy_end", {"attention_entropy": [[9, 9], [1, 2]]}, 1.5),
        ("grad_tilt_end", {"grad_rms": [[1, 1], [4, 1]]}, np.log(4)),
        ("grad_cv_end", {"grad_rms": [[9, 9], [1, 3]]}, 0.5),
        ("grad_peak", {"grad_norm": [2, 1, 2, 50, np.inf]}, 25),
    ],
)
def test_a_number_is_what_its_formula_says(name, record, expected):
    assert of(name, record) == pytest.approx(expected, abs=1e-7, nan_ok=True)


def test_the_stream_is_followed_through_the_sublayers_that_exist():
    nan = np.nan  # the second of two layers has no feed-forward sublayer
    record = {"ffn_0.stream_rms": [[2, nan], [6, nan]], "attention.stream_rms": [[1, 2], [2, 4]]}
    assert of("stream_growth_end", record) == 4 and of("stream_gained", record) == 4
    assert of("stream_peak", record) == 3 and of("stream_rms_end", record) == 6
    record = {"ffn_0.stream_rms": [[2, nan], [nan, nan]], "attention.stream_rms": [[1, 2], [1, nan]]}
    assert np.isnan([of(name, record) for name in ("stream_growth_end", "stream_gained", "stream_peak")]).all()


def test_the_stuck_have_no_effective_depth():
    assert np.isnan(of("effective_depth", {"layer_loss": [1, 1]}, val_loss=3.1))


def spikes(loss, gap=2.0, **row):
    """The number of spikes, not their rate."""
    row = {"unigram_loss": 3.0, "floor_loss": 3.0 - gap, **row}
    return of("spike_score", {"train_loss": loss}, **row) / 1000 * (len(loss) - 64)


def test_one_outlier_is_one_spike_and_noise_none():
    loss = 2 + NOISE
    assert spikes(loss) == 0
    loss[500] = 2 + 10 * 0.05
    assert spikes(loss) == pytest.approx(1)
    loss[501] = 2 + 10 * 0.05
    assert spikes(loss) == pytest.approx(2)


def test_spikes_are_affine_invariant_and_monotone_curves_have_none():
    loss = 2 + NOISE
    loss[[100, 300, 301, 999]] += 0.5
    assert spikes(3 + 7 * loss, gap=14.0) == pytest.approx(spikes(loss)) == pytest.approx(4)
    steps = np.arange(400)
    assert spikes(3 * np.exp(-steps / 50)) == spikes(0.01 * steps) == 0


def test_a_spike_is_at_least_a_tenth_of_what_can_be_learned():
    loss = 2 + NOISE / 100
    loss[500] += 0.15
    assert spikes(loss, gap=1.0) == pytest.approx(1) and spikes(loss, gap=2.0) == 0
    assert spikes(loss, floor_loss=np.nan, bigram_loss=None) == pytest.approx(1)  # 0.1 nats
    assert spikes(loss, floor_loss=np.nan, bigram_loss=1.0) == 0
    assert np.isnan(of("spike_score", {"train_loss": loss[:64]}))


def test_numbers_of_the_training_loss():
    loss = np.where(np.arange(200) < 50, 3.0, 1.5)
    curves = {"train_loss": np.concatenate([loss[:30], [2.0] * 20, loss[50:]]), "step": np.arange(1, 201)}
    assert of("early_loss", curves) == 2.0  # steps 31 to 50 of 200
    assert np.isnan(of("early_loss", {"train_loss": loss[:49]}))  # it diverged before
    assert of("bounded_loss", curves) == 1.4 and of("bounded_loss", curves, val_loss=9.0) == 3.0
    assert of("bounded_loss", curves, val_loss=None) == of("bounded_loss", curves, val_loss=np.nan) == 3.0


def test_the_target_is_reached_by_the_mean_of_20_steps():
    loss = np.where(np.arange(200) < 50, 3.0, 1.5)  # H1 - 0.2 (H1 - H*) = 2.6: 6 of 20 steps at 1.5 make 2.55
    curves = {"train_loss": loss, "step": np.arange(1, 201)}
    assert of("steps_to_target", curves) == 56
    assert of("steps_to_target", curves, floor_loss=None, bigram_loss=1.0) == 56
    for missed in ({"floor_loss": None}, {"unigram_loss": 1.0, "floor_loss": 0.0}):
        assert np.isnan(of("steps_to_target", curves, **missed))
    assert np.isnan(of("steps_to_target", {"train_loss": loss[:19], "step": np.arange(19)}))


def test_nothing_fails_on_an_empty_record():
    for metric in METRICS.values():
        if metric.source in ("layers", "probes"):
            assert np.isnan(metric.compute({}, {}))


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    synthetic.write(folder, norms=("rmsnorm",), depths=(6,), rates=(1e-3,), steps=100)
    for scale, cell in enumerate(list(records.sweep(folder)["cells"])[:2], start=1):
        # rows in no order; layer 0 has one head, layer 1 two
        probes = [("stream", k, 0, scale * (1 + k)) for k in range(3)] + [("head_loss", 1, 2, 5.0 * scale)]
        probes += [("head_loss", 0, 1, 1.0), ("head_loss", 1, 1, 2.0)]
        names = ("quantity", "index", "head", "value")
        table = {name: list(values) for name, values in zip(names, zip(*probes[::-1], strict=True), strict=True)}
        loss = np.linspace(3, 2, 100)
        records.write_result(
            *(folder, cell, {"step": np.arange(1, 101), "train_loss": loss, "grad_norm": loss}),
            {"step": [50, 50, 100, 100], "layer": [1, 2, 1, 2], "attention.stream_rms": [1.0, 1.0, 1.0, 2.0 * scale]},
            *({"val_loss": 2.0}, {"status": "done"}),
            probes=table,
        )
    return folder


def test_a_column_has_every_cell_of_the_frame_in_its_order(workdir):
    frame = records.load(workdir)
    shuffled = frame.iloc[[3, 1, 0]]
    found = columns(workdir, shuffled, ["stream_growth", "head_loss_max", "val_loss", "stream_growth_end", "grad_peak"])
    assert list(found.index) == list(shuffled.index) and found.dtypes.eq(float).all()
    assert found["head_loss_max"].tolist()[1:] == [10, 5] and found["stream_growth_end"].tolist()[1:] == [16, 4]
    assert found["stream_growth"].tolist()[1:] == [3, 3] and found["grad_peak"].iloc[1] == pytest.approx(3 / 2.5)
    assert np.isnan(found["stream_growth"].iloc[0]) and found["val_loss"].equals(shuffled["val_loss"])
    assert column(workdir, frame, "stream_growth").notna().sum() == 2
    assert column(workdir, frame.iloc[4:], "stream_growth").isna().all()  # nobody of these was probed


def test_records_are_read_once(workdir, monkeypatch):
    frame, read = records.load(workdir), []
    original = records.read_table
    monkeypatch.setattr(records, "read_table", lambda *asked: read.append(asked) or original(*asked))
    columns(workdir, frame, ["grad_peak", "early_loss", "stream_growth", "spread_end"])
    assert len(read) == len(set(read)) == 2 * len(frame)  # metrics and probes, each once


def test_the_bigram_loss_of_the_data_stands_for_an_unknown_entropy_rate():
    group = {"data.name": "kjv", "data.seq_len": 64}
    assert cells.describe({"kjv": {"bigram_loss": 2.4}}, group) == {"bigram_loss": 2.4}
    assert cells.describe({'{"name": "kjv", "seq_len": 64}': {"bigram_loss": 2.5}}, group) == {"bigram_loss": 2.5}
    assert cells.describe({"other": {}}, group) == {}


def test_a_second_try_leaves_no_probes_of_the_first(workdir):
    cell = list(records.sweep(workdir)["cells"])[1]
    records.write_result(workdir, cell, None, None, None, {"status": "failed"}, error="E")
    assert cell not in set(records.load_probes(workdir).cell)


def test_a_mistyped_metric_is_named(workdir):
    with pytest.raises(UserError, match="did you mean stream_growth"):
        column(workdir, records.load(workdir), "stream_grwth")


def test_metrics_need_no_jax():
    code = "import sys, experiments.metrics; sys.exit(bool({'jax', 'flax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
