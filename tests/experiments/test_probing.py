"""Cells that are probed: what they leave, and that it is what was measured."""

import collections
import functools

import jax
import numpy as np
import pandas as pd
import pytest

from experiments import engine, probing, records
from experiments.compiled import compile_program, hold_out
from experiments.member import Member
from flax_tx import data, train
from flax_tx.config import structure
from flax_tx.values import values
from tests.experiments import tiny

START = """
    c.train.steps = 0
    c.probe.start = c.probe.update = c.probe.scales = True
    return c
"""
END = """
    c.train.steps = 3
    c.train.eval_windows = 6
    c.probe.layers = c.probe.heads = True
    return c
"""


def sweep(closing, axis, values):
    """The tiny sweep with another end of get_config(), and its axes replaced by this one and the seed."""
    return f"""{tiny.SWEEP.partition("    return c")[0]}{closing}

def get_hyper(hyper):
    return hyper.product([hyper.sweep({axis!r}, {values!r}), hyper.sweep("seed.init", [0, 1])])


def get_table():
    return Table(rows=({axis!r},), seeds=("seed.init",))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function that prepares a workdir for a sweep text and gives (workdir, plan)."""
    return lambda *args: tiny.prepare(tmp_path_factory.mktemp("sweep"), *args)


EMBEDDED = sweep('    c.model.wiring = "none"' + START, "model.embed_scale", [1.0, 1e30])


@pytest.fixture(scope="module")
def started(prepared):
    """A workdir of cells of no step, two of which start with numbers that float32 cannot hold; what it left."""
    workdir, made = prepared(EMBEDDED)
    (program,) = made.programs
    list(engine.run_program(workdir, program))
    return workdir, made, records.load(workdir)


KERNELS = ["attention.query", "attention.key", "attention.value", "attention.out", "ffn_0.in", "ffn_0.out"]
LENGTHS = {  # of what is measured of two layers, which are four sublayers, of two heads
    **{"loss": 1, "logits": 64, "stream": 5, "branch": 4, "turn": 4, "spread": 5, "own_share": 4},
    **{"attention_entropy": 2, "attention_logit_max": 2, "attention_rank": 2},
    **{f"{kind}.{name}": 2 for kind in ("gradient", "radial") for name in KERNELS},
    **{"update_sgd": 1, "update_sign": 1, "amplification": 1, "sharp_entropy": 1},
    **{f"rescale.{name}": 1 for name in KERNELS},
}


def test_a_cell_of_no_step_leaves_probes_and_nothing_else(started):
    workdir, made, frame = started
    assert frame.val_loss.isna().all() and frame.tokens_per_second.isna().all()
    cells = frame.index[frame["model.embed_scale"] == 1]
    assert set(frame.status[cells]) == {"done"}
    for cell in cells:
        files = {path.name for path in records.cell_dir(workdir, cell).iterdir()}
        assert files == {"config.json", "probes.parquet", "summary.json", "status.json"}
        found = records.load_probes(workdir, [cell])
        assert found.groupby("quantity").size().to_dict() == LENGTHS
        assert all(list(group["index"]) == list(range(len(group))) for _, group in found.groupby("quantity"))
        assert not found["head"].any() and np.isfinite(found.value).all()
        assert frame.params[cell] == made.params(cell)
    losses = records.load_probes(workdir, cells).query("quantity == 'loss'").value
    assert len(set(losses)) == 2 and losses.between(1, 5).all()


def test_a_loss_that_is_not_finite_at_the_start_is_a_divergence(started):
    workdir, _, frame = started
    bad = frame[frame["model.embed_scale"] > 1]
    assert set(bad.status) == {"diverged"}
    assert set(bad.step) == {0}
    assert set(bad.reason) == {"loss not finite before the first step"}
    assert records.load_probes(workdir, bad.index).query("quantity == 'loss'").value.isna().all()


def test_a_cell_alone_gives_the_same_probes_to_the_bit(started, prepared):
    workdir, _, frame = started
    cell = frame.index[(frame["model.embed_scale"] == 1) & (frame["seed.init"] == 1)][0]
    alone, lonely = prepared(EMBEDDED, ("--config.model.embed_scale=1.0", "--config.seed.init=1"))
    assert list(lonely.cells) == [cell]
    list(engine.run_program(alone, *lonely.programs))
    found = [records.load_probes(folder, [cell]) for folder in (workdir, alone)]
    pd.testing.assert_frame_equal(*found, check_exact=True)


@pytest.fixture(scope="module")
def trained(prepared):
    """A cell of three steps: its row, what was probed, and its validation loss as a function of parameters, its own."""
    workdir, made = prepared(sweep(END, "model.wiring", ["pre"]))
    cell, config = next(iter(made.cells.items()))
    compiled, numbers = compile_program(config), values(config)
    list(engine.train(engine.Desk(workdir), collections.deque([Member(cell, config)]), compiled))
    state, _ = compiled.training.chunk(numbers, compiled.arrays, compiled.training.init(numbers), np.int32(3))
    held_out, count = compiled.training.held_out["validation"]

    def loss(params):
        scores = compiled.training.evaluate(numbers, params, held_out)["loss"]
        return np.asarray(scores, np.float64).reshape(-1)[:count].mean()

    return records.load(workdir).loc[cell], records.load_probes(workdir), loss, jax.device_get(state.params)


def test_the_last_step_is_followed_by_angles_and_losses(trained):
    row, found, loss, params = trained
    assert row.status in ("done", "stuck") and row.val_loss == pytest.approx(loss(params), abs=1e-9)
    places = {name: list(zip(group["index"], group["head"], strict=True)) for name, group in found.groupby("quantity")}
    assert places == {
        "angle": [(0, 0), (1, 0)],
        "layer_loss": [(0, 0), (1, 0)],
        "head_loss": [(0, 1), (0, 2), (1, 1), (1, 2)],
    }
    assert found[found.quantity == "angle"].value.between(0.01, 0.9).all()


def test_the_loss_of_a_layer_or_head_is_that_of_kernels_at_zero(trained):
    """Under Pre-LN a layer whose output kernels are 0 is not there; a head is the rows of its layer's output kernel."""
    _, found, loss, params = trained
    value = found.set_index(["quantity", "index", "head"]).value
    for layer in (0, 1):
        without = zeroed(params, attention=np.s_[layer], ffn_0=np.s_[layer])
        assert value["layer_loss", layer, 0] == pytest.approx(loss(without) - loss(params), abs=1e-6)
        for head in (1, 2):
            without = zeroed(params, attention=np.s_[layer, 4 * (head - 1) : 4 * head])
            assert value["head_loss", layer, head] == pytest.approx(loss(without) - loss(params), abs=1e-6)
    assert found[found.quantity != "angle"].value.nunique() == 6


def zeroed(params, **places):
    """The parameters with entries of output kernels at zero."""
    params = jax.tree.map(np.array, params)
    for sublayer, place in places.items():
        params["stack"]["segment_0"][sublayer]["out"]["kernel"][place] = 0
    return params


def test_layers_that_are_the_identity_cost_nothing(prepared):
    """ReZero before its first step."""
    _, made = prepared(sweep(END, "model.wiring", ["rezero"]))
    config = next(iter(made.cells.values()))
    program = train.Program(structure(config), "lm", 8, 8)
    params = jax.jit(functools.partial(train.init, program))(values(config)).params
    held_out = hold_out(config, data.load(config.data), "validation")
    found = probing.End.compile(config, program).measure(config, params, *held_out)
    assert not found["layer_loss"].any() and not found["head_loss"].any()
    assert {name: array.shape for name, array in found.items()} == {
        "angle": (2,),
        "layer_loss": (2,),
        "head_loss": (2, 2),
    }
    assert np.all(found["angle"] < 1e-3)


def test_rows_count_layers_from_0_and_heads_from_1():
    found = probing.rows(
        {"loss": np.float32(2), "angle": np.array([3.0, 4.0]), "head_loss": np.arange(6).reshape(2, 3)}
    )
    assert found["quantity"] == ["loss"] + ["angle"] * 2 + ["head_loss"] * 6
    assert found["index"].tolist() == [0, 0, 1, 0, 0, 0, 1, 1, 1]
    assert found["head"].tolist() == [0, 0, 0, 1, 2, 3, 1, 2, 3]
    assert found["value"].tolist() == [2, 3, 4, 0, 1, 2, 3, 4, 5]
