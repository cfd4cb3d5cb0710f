"""Sizes of a sweep, its several tables and its figure: what is planned, what the manifest says, what is rewritten."""

import json

import pytest

from experiments import figure_spec, launch, plan, records, running, sweep_file
from experiments.figure_spec import Figure, Panel
from flax_tx.errors import UserError
from tests.experiments import tiny

SIZED = (
    tiny.SWEEP.replace("def get_config", 'SIZES = {"smoke": 1, "quick": 2, "full": 4}\n\n\ndef get_config')
    .replace("def get_hyper(hyper)", "def get_hyper(hyper, size)")
    .replace('"seed.init", [0, 1]', '"seed.init", range(size)')
)
FIGURE = """

def get_figure():
    from experiments.figure_spec import Figure, Panel
    return Figure((Panel("val_loss", x="optim.learning_rate", log_x=True),))
"""

CLAIM = """

def get_claims():
    from experiments.claims import Claim, Trains
    return [Claim("T-1", "one", "ours", "training", (Trains({"model.wiring": "pre"}),))]
"""


def made(folder, text, size=None):
    return plan.make(sweep_file.read(tiny.write(folder, text), size), {})


def finish(workdir, cells):
    """Every cell gets a result that nobody trained."""
    for cell in cells:
        records.write_result(workdir, cell, None, None, {"val_loss": 1.0}, {"status": "done", "seconds": 1.0})


def launched(folder, text, *arguments):
    """The manifest after a launch in this process; every cell must have a result already."""
    workdir = folder / "run"
    assert launch.main([f"--config={tiny.write(folder, text)}", f"--workdir={workdir}", *arguments]) == 0
    return records.sweep(workdir)


def finished_run(folder, text, size=None):
    """A workdir in which all cells of a sweep have a result."""
    todo = made(folder, text, size)
    running.prepare(todo, str(folder / "run"), "first", set())
    finish(folder / "run", todo.cells)


@pytest.mark.parametrize(("size", "cells"), [("smoke", 4), ("quick", 8), ("full", 16), (None, 8)])
def test_a_size_reaches_the_functions_that_take_it(tmp_path, size, cells):
    assert len(made(tmp_path, SIZED, size).cells) == cells


def test_without_a_quick_size_the_first_is_taken(tmp_path):
    sized = made(tmp_path, SIZED.replace('"smoke": 1, "quick": 2', '"large": 3, "small": 1'))
    assert (sized.file.size, len(sized.cells)) == ("large", 12)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (SIZED, "smok", "--size = 'smok': expected one of smoke, quick, full; did you mean smoke?"),
        (tiny.SWEEP, "quick", "has no SIZES; leave --size out"),
        (SIZED.replace("SIZES = ", "OTHERS = "), None, r"get_hyper\(size\) expected SIZES"),
        (SIZED.replace('{"smoke": 1, "quick": 2, "full": 4}', "{}"), None, "expected a dict of at least one name"),
        (SIZED.replace("return Table(", "return [] and Table("), None, r"get_table\(\) gives no table"),
    ],
)
def test_a_wrong_size_is_a_line(tmp_path, text, size, expected):
    with pytest.raises(UserError, match=expected) as caught:
        made(tmp_path, text, size)
    assert len(caught.value.problems) == 1


def test_the_cells_of_a_smaller_size_are_those_of_the_larger(tmp_path):
    assert set(made(tmp_path, SIZED, "smoke").cells) < set(made(tmp_path, SIZED, "full").cells)


def test_sizes_share_a_workdir_and_the_manifest_is_of_the_last(tmp_path, capsys):
    finished_run(tmp_path, SIZED, "full")
    assert launched(tmp_path, SIZED, "--size=full")["size"] == "full"
    manifest = launched(tmp_path, SIZED, "--size=smoke")
    assert (manifest["size"], len(manifest["cells"])) == ("smoke", 4)
    assert "smoke (of smoke, quick, full)" in capsys.readouterr().out


def test_a_changed_table_or_figure_needs_no_run_and_keeps_the_provenance(tmp_path):
    finished_run(tmp_path, tiny.SWEEP)
    before = records.sweep(tmp_path / "run")
    titled = launched(tmp_path, tiny.SWEEP.replace("rows=", 'title="Anew", rows='))
    assert (titled["table"]["title"], titled["tables"][0]["title"]) == ("Anew", "Anew")
    drawn = launched(tmp_path, tiny.SWEEP + FIGURE)
    assert before["figure"] is None
    assert drawn["figure"]["panels"][0]["y"] == "val_loss"
    assert drawn["provenance"] == before["provenance"]
    assert not (tmp_path / "run" / "launches").exists()


def test_a_changed_claim_needs_no_run(tmp_path):
    finished_run(tmp_path, tiny.SWEEP + CLAIM)
    manifest = launched(tmp_path, tiny.SWEEP + CLAIM.replace("one", "two"))
    assert [found["statement"] for found in manifest["claims"]] == ["two"]


def test_a_mistake_in_a_claim_is_seen_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match=r"did you mean model\.wiring"):
        made(tmp_path, tiny.SWEEP + CLAIM.replace("wiring", "wirng"))


def test_the_command_line_may_leave_out_what_a_table_keeps(tmp_path):
    second = 'Table(("optim.learning_rate",), seeds=("seed.init",), only={"model.wiring": "post"})'
    text = tiny.SWEEP.replace("return Table(", "return [Table(").replace(
        '"post"},\n    )', f'"post"}},\n    ), {second}]'
    )
    path = tiny.write(tmp_path, text)
    held = [plan.make(sweep_file.read(path), {"model.wiring": wiring}).file.tables for wiring in ("pre", "post")]
    assert [len(tables) for tables in held] == [1, 2]
    assert [tables[0].baseline for tables in held] == [None, {"model.wiring": "post"}]


def test_every_table_of_a_sweep_is_checked_and_kept(tmp_path):
    text = tiny.SWEEP.replace("return Table(", 'return [Table(\n        title="a",').replace(
        '"post"},\n    )', '"post"},\n    ), Table(("optim.learning_rate",), ("model.wiring",), seeds=("seed.init",))]'
    )
    both = plan.manifest(made(tmp_path, text), "", {})
    assert [table["title"] for table in both["tables"]] == ["a", ""]
    assert both["table"] == both["tables"][0]
    with pytest.raises(UserError, match=r"did you mean optim\.learning_rate"):
        made(tmp_path, text.replace('Table(("optim.learning_rate"', 'Table(("optim.learning_rat"'))


def test_a_cell_without_steps_has_work(tmp_path):
    text = tiny.SWEEP.replace("c.train.steps = 12", "c.train.steps = 0\n    c.probe.start = True")
    text = text.replace('"model.wiring", ["post", "pre"]', '"model.num_layers", [1, 3]')
    text = text.replace("model.wiring", "model.num_layers").replace('"post"', "1")
    measured = made(tmp_path, text)
    deep = [measured.flops(cell) for cell, config in measured.cells.items() if config.model.num_layers == 3]
    shallow = [measured.flops(cell) for cell, config in measured.cells.items() if config.model.num_layers == 1]
    assert min(deep) > max(shallow) > 0
    assert [measured.cells[cells[0]].model.num_layers for cells in measured.programs.values()] == [3, 1]


AXES = {"model.wiring": ["post", "pre"], "model.num_layers": [2, 4], "optim.learning_rate": [1e-3]}


def test_a_figure_survives_json():
    panels = (Panel("stream", at={"model.num_layers": 4}), Panel("val_loss", "model.num_layers", log_x=True))
    figure = Figure(panels, ("model.wiring",), "T", {"pre": "Pre-LN", 4: "four", (1, 2): "pair"}, 2)
    assert Figure.from_json(json.loads(json.dumps(figure.to_json()))) == figure


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (Figure((Panel("val_loss", "model.num_layer"),)), "did you mean model.num_layers?"),
        (Figure((Panel("val_loss", "model.num_layers", kind="line"),)), "did you mean lines?"),
        (Figure((Panel("val_loss", "model.num_layers", kind="heat"),)), "expected fields as x and y_field"),
        (Figure((Panel("stream", at={"model.wirng": 1}),)), "did you mean model.wiring?"),
        (Figure((Panel("stream"),), ("model.wirin",)), "did you mean model.wiring?"),
        (Figure(()), "expected at least one Panel"),
    ],
)
def test_a_mistake_in_a_figure_is_a_line(figure, expected):
    (problem,) = figure_spec.problems(figure, AXES)
    assert expected in problem


def test_a_figure_without_mistakes_has_no_problem():
    fine = Figure((Panel("stream", at={"model.num_layers": 4}), Panel("val_loss", "model.num_layers")))
    assert figure_spec.problems(fine, AXES) == []
