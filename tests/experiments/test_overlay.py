"""Several sweeps in one picture: every line says which, nothing twice, and what is not comparable is said."""

import numpy as np
import pytest

from experiments import overlay, records
from experiments.figures import drawing, plot
from flax_tx.errors import UserError
from tests.experiments import pictured, synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return pictured.whole(tmp_path_factory.mktemp("runs") / "alice" / "depth")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Somebody else's sweep: fewer wirings and depths, a fourth seed, and a norm more."""
    grid = {"wirings": ("pre", "deepnorm"), "norms": ("layernorm", "rmsnorm"), "depths": (6, 24)}
    return pictured.whole(tmp_path_factory.mktemp("runs") / "bob" / "depth", **grid, seeds=(0, 1, 2, 3))


def test_sweeps_go_by_what_tells_their_folders_apart(tmp_path):
    assert overlay.names([tmp_path / "a"]) == [""]
    assert overlay.names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert overlay.names([tmp_path / "a" / "runs" / "x", tmp_path / "b" / "runs" / "x"]) == ["a", "b"]
    assert overlay.names([tmp_path / "x", tmp_path / "b" / "x"]) == [tmp_path.name, "b"]
    assert overlay.names([tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / "b" / "y"]) == ["a/x", "b/x", "b/y"]
    with pytest.raises(UserError, match="it is there twice"):
        overlay.names([tmp_path / "a", tmp_path / "b" / ".." / "a"])


def test_a_loop_of_links_has_a_name_like_any_other(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert overlay.names([tmp_path / "loop", tmp_path / "run"]) == ["loop", "run"]


def test_two_sweeps_are_drawn_over_each_other_and_every_line_says_which(workdir, other):
    made = plot.make([workdir, other], where="norm=layernorm")
    of_alice = [f"{wiring} · alice" for wiring in synthetic.WIRINGS]
    names = [made.view.name(line) for line in made.lines]
    assert names == [*of_alice[:2], "pre · bob", *of_alice[2:4], "deepnorm · bob", *of_alice[4:]]
    assert made.view.panels == [(6,), (12,), (24,)]
    assert {curve.line.sweeps for curve in made.within((12,))} == {("alice",)}
    alone = pictured.by_place(plot.make(other, where="norm=layernorm"))
    (curve,) = (c for c in made.within((24,)) if made.view.name(c.line) == "pre · bob")
    np.testing.assert_array_equal(curve.seeds, alone["pre", "layernorm", 24].seeds)
    words = "\n".join(word.get_text() for word in drawing.draw(made).texts)
    assert "24 cells are in both alice and bob, with the same numbers" in words


def test_arms_with_equal_cells_are_drawn_once(workdir, tmp_path):
    twin = tmp_path / "twin"
    synthetic.write(twin, norms=("layernorm",), depths=(6, 12), seeds=(0, 1, 2), table=pictured.PRE)
    made = plot.make([workdir, twin], where="depth=6|12")
    assert {curve.line.sweeps for curve in made.curves} == {("depth", "twin")}
    assert len(made.curves) == len(plot.make(twin).curves)
    assert "pre · depth, twin" in [made.view.name(line) for line in made.lines]


def test_equal_cells_with_other_numbers_are_drawn_twice_and_said(tmp_path):
    one, two = pictured.small(tmp_path / "one"), pictured.small(tmp_path / "two")
    cell = plot.make(one).curves[0].cells[0]
    frame = records.load_metrics(two, [cell])
    columns = {name: frame[name].to_numpy() for name in ("step", "train_loss", "grad_norm", "learning_rate")}
    synthetic.put(two, cell, "metrics.parquet", columns | {"train_loss": columns["train_loss"] + 0.5})
    made = plot.make([one, two])
    assert sorted(curve.line.sweeps for curve in made.curves) == [("one",), ("one", "two"), ("two",)]
    assert "6 cells are in both one and two, 1 of them with other numbers" in made.notes


def test_what_is_not_comparable_is_said(tmp_path):
    one, two = pictured.small(tmp_path / "one"), pictured.small(tmp_path / "two", steps=40)
    manifest = records.sweep(two)
    data = {name: about | {"fingerprint": "1e" * 16, "task": "classify"} for name, about in manifest["data"].items()}
    records.write_json(two / "sweep.json", manifest | {"data": data})
    notes = "\n".join(plot.make([one, two]).notes)
    assert "data differ, so losses are not comparable: kjv 0f0f0f0f0f0f in one, kjv 1e1e1e1e1e1e in two" in notes
    assert "losses are in nats per token in one, nats per document in two" in notes
    assert "sweeps differ in steps 30 in one, 40 in two" in notes
    assert not plot.make(one).notes
