"""Why a cell would run: what a workdir holds of it, the nearest recorded cell, and exactly what changed."""

import json
import subprocess
import sys

import pytest

from experiments import differences, plan, reasons, records, sweep_file, why
from flax_tx.config import SCHEMA_VERSION, name_of, to_dict
from flax_tx.errors import UserError
from tests.experiments import tiny

FAILED = {"reason": "MemoryError: too\nwide"}


def end(workdir, cell, status="done", **more):
    """A result that nobody trained."""
    about = {"status": status, "finished": "2026-11-22T12:00:00+00:00", "seconds": 1.0}
    records.write_result(workdir, cell, None, None, {"val_loss": 1.0, "commit": "c0ffee" * 6}, about | more)


@pytest.fixture
def recorded(tmp_path):
    """(folder, workdir, plan) of the tiny sweep, all of whose cells have a result, one of them failed."""
    workdir, made = tiny.prepare(tmp_path)
    for cell in made.cells:
        end(workdir, cell)
    end(workdir, next(iter(made.cells)), "failed", **FAILED)
    return tmp_path, workdir, made


def lines_of(capsys, folder, workdir, *arguments, text=tiny.SWEEP):
    """(label, text) of what the command prints."""
    capsys.readouterr()
    why.main([f"--config={tiny.write(folder, text)}", f"--workdir={workdir}", *arguments])
    lines = [(line[:11].strip(), line[11:]) for line in capsys.readouterr().out.splitlines()]
    return [
        (label or next(one for one, _ in reversed(lines[: i + 1]) if one), text)
        for i, (label, text) in enumerate(lines)
    ]


def said(lines, label):
    return [text for name, text in lines if name == label]


def contents(folder):
    return {path: path.read_bytes() for path in records.Path(folder).rglob("*") if path.is_file()}


def test_what_has_a_result_would_not_run_and_what_failed_says_how_to_try_again(recorded, capsys):
    folder, workdir, made = recorded
    before = contents(folder)
    lines = lines_of(capsys, folder, workdir)
    assert said(lines, "cells") == ["8: 8 have a result (7 done, 1 failed), 0 would run"]
    assert not said(lines, "would run") and not said(lines, "stay")
    failed, done, *_ = made.cells
    assert said(lines_of(capsys, folder, workdir, done), "has run") == ["it has a result, so it would not run again"]
    lines = lines_of(capsys, folder, workdir, failed)
    assert "failed: MemoryError: too wide" in said(lines, "cell")[0]
    assert said(lines, "again") == [f"to run it anew remove the folder {records.cell_dir(workdir, failed)}"]
    assert contents(folder) == before


def test_what_was_planned_and_never_ended_says_so(recorded, capsys):
    folder, workdir, made = recorded
    *_, last = made.cells
    (records.cell_dir(workdir, last) / "status.json").unlink()
    lines = lines_of(capsys, folder, workdir)
    assert said(lines, "would run") == [f"1 {why.STARTED} (such as {last})"]
    assert said(lines_of(capsys, folder, workdir, last), "would run") == [why.STARTED]


def test_a_field_that_changed_is_named_with_both_values_and_the_old_cells_are_said_to_stay(recorded, capsys):
    folder, workdir, made = recorded
    arguments = ("--config.model.width=16", "--config.optim.weight_decay=0.3")
    lines = lines_of(capsys, folder, workdir, *arguments)
    assert said(lines, "cells") == ["8: 0 have a result, 8 would run"]
    (line,) = said(lines, "would run")
    assert line.startswith("8 changed since recorded: model.width 8 -> 16; optim.weight_decay 1e-2 -> 0.3 (such as ")
    (line,) = said(lines, "stay")
    assert line.startswith("8 recorded, but not in this plan: model.width 8 -> 16; ")
    selected = lines_of(capsys, folder, workdir, *arguments, "wiring=pre,learning_rate=0.01,init=1")
    (old,) = [
        c for c, x in made.cells.items() if (x.model.wiring, x.optim.learning_rate, x.seed.init) == ("pre", 0.01, 1)
    ]
    assert said(selected, "nearest") == [f"{old}  wiring=pre, learning_rate=1e-2, seed.init=1  done"]
    assert said(selected, "differs") == ["model.width 8 -> 16", "optim.weight_decay 1e-2 -> 0.3"]
    assert said(selected, "made from") == ["commit c0ffeec0ffee"]
    stray = lines_of(capsys, folder, workdir, *arguments, old[:7])
    assert said(stray, "stays") == [why.STRAY] and said(stray, "differs") == said(selected, "differs")


def test_a_cell_that_is_new_beside_those_of_the_plan_is_not_called_changed(recorded, capsys):
    folder, workdir, _ = recorded
    grown = tiny.SWEEP.replace('"seed.init", [0, 1]', '"seed.init", [0, 1, 2]')
    lines = lines_of(capsys, folder, workdir, text=grown)
    assert said(lines, "cells") == ["12: 8 have a result (7 done, 1 failed), 4 would run"]
    (line,) = said(lines, "would run")
    assert line.startswith("4 new beside the recorded: seed.init 0 -> 2 (such as")
    moved = tiny.SWEEP.replace("[1e-2, 3e-2]", "[1e-2, 2e-2]")
    lines = lines_of(capsys, folder, workdir, text=moved)
    assert said(lines, "would run")[0].startswith("4 changed since recorded: optim.learning_rate 3e-2 -> 2e-2 (such as")
    assert said(lines, "stay")[0].startswith("4 recorded, but not in this plan: optim.learning_rate 3e-2 -> 2e-2 (such")


def test_cells_named_under_an_older_schema_are_recognised_by_their_name(recorded, capsys):
    folder, workdir, made = recorded
    old = {name_of(to_dict(config), SCHEMA_VERSION - 1): config for config in made.cells.values()}
    for cell in made.cells:
        for path in records.cell_dir(workdir, cell).iterdir():
            path.unlink()
    for cell, config in old.items():
        records.write_cell_config(workdir, cell, to_dict(config))
        end(workdir, cell)
    lines = lines_of(capsys, folder, workdir)
    assert said(lines, "would run")[0].startswith(f"8 {why.NAMED} (such as")
    assert said(lines, "schema") == [f"version {SCHEMA_VERSION}; 8 stray cells were named under {SCHEMA_VERSION - 1}"]
    one = lines_of(capsys, folder, workdir, next(iter(made.cells)))
    (nearest,) = said(one, "nearest")
    assert f"{nearest.split()[0]} was named under version {SCHEMA_VERSION - 1}, it is {SCHEMA_VERSION} now" in said(
        one, "schema"
    )
    assert not said(one, "differs")


def test_a_field_that_the_recorded_schema_did_not_have_is_named(recorded, capsys):
    folder, workdir, made = recorded
    cell = next(iter(made.cells))
    config = json.loads(json.dumps(to_dict(made.cells[cell])))
    del config["model"]["fixnorm"]
    config["model"]["gone"] = 3
    for other in made.cells:
        for path in records.cell_dir(workdir, other).iterdir():
            path.unlink()
    records.write_cell_config(workdir, "0" * 12, config)
    end(workdir, "0" * 12)
    lines = lines_of(capsys, folder, workdir, cell)
    assert said(lines, "differs") == ["model.fixnorm no such field -> no", "model.gone 3 -> no such field"]
    assert "was named under version unknown" in said(lines, "schema")[0]


def test_data_that_changed_show_both_fingerprints_and_a_new_set_has_none_before(recorded, capsys):
    folder, workdir, made = recorded
    (about,) = made.data.values()
    assert said(lines_of(capsys, folder, workdir), "data") == [f"markov1 {about.fingerprint[:12]}, as before"]
    manifest = records.sweep(workdir)
    manifest["data"]["markov1"]["fingerprint"] = "f" * 16
    records.write_json(records.Path(workdir) / "sweep.json", manifest)
    (line,) = said(lines_of(capsys, folder, workdir), "data")
    assert line == f"markov1 {about.fingerprint[:12]}, was {'f' * 16}: launch refuses this workdir"
    (line,) = said(lines_of(capsys, folder, workdir, "--config.data.name=markov2"), "data")
    assert line.startswith("markov2 ") and line.endswith(", not read before")


def test_code_and_libraries_are_information(recorded, capsys):
    folder, workdir, _ = recorded
    manifest = records.sweep(workdir)
    manifest["provenance"]["versions"]["jax"] = "0.0.1"
    manifest["provenance"]["git"] = {"commit": "a" * 40, "dirty": True}
    records.write_json(records.Path(workdir) / "sweep.json", manifest)
    lines = lines_of(capsys, folder, workdir)
    (line,) = said(lines, "code")
    assert line.startswith("commit aaaaaaaaaaaa with changes -> ") and "jax 0.0.1 -> " in line and "information" in line
    assert "optax" not in line and said(lines, "cells") == ["8: 8 have a result (7 done, 1 failed), 0 would run"]


def test_what_it_says_would_run_is_what_a_launch_would_run(recorded):
    folder, workdir, _ = recorded
    grown = tiny.write(folder, tiny.SWEEP.replace('"seed.init", [0, 1]', '"seed.init", [0, 1, 2]'))
    made = plan.make(sweep_file.read(grown), {})
    missing = {cell for cell, reason in reasons.read(workdir, made).reasons().items() if reason.status is None}
    assert missing == set(made.cells) - records.finished(workdir, made.cells) and len(missing) == 4


def test_a_sweep_of_which_nothing_ended_has_no_nearest_cell(tmp_path, capsys):
    workdir, _ = tiny.prepare(tmp_path)
    lines = lines_of(capsys, tmp_path, workdir, "--config.model.width=16")
    assert said(lines, "would run")[0].startswith(f"8 {why.NOTHING} (such as") and not said(lines, "stay")
    assert not said(
        lines_of(
            capsys,
            tmp_path,
            workdir,
            "--config.model.width=16",
            "init=0,wiring=pre,learning_rate=0.01",
        ),
        "nearest",
    )


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("zz", "no cell of the plan or the workdir"),
        ("", "begin so"),
        ("wiring=pots", "expected one of post, pre; did you mean post?"),
        ("wirng=post", "did you mean wiring?"),
        ("wiring=post,pre", "expected FIELD=VALUE"),
        ("wiring=post,model.width=16", "expected one of 8"),
        ("gains=auto", "expected one of model.gains.pre, model.gains.branch"),
        ("wiring=post,learning_rate=0.01,wiring=pre", "is all of this"),
    ],
)
def test_a_cell_that_cannot_be_found_is_one_line(recorded, capsys, cell, words):
    folder, workdir, _ = recorded
    with pytest.raises(UserError) as error:
        lines_of(capsys, folder, workdir, cell)
    assert len(error.value.problems) == 1 and words in str(error.value)


def test_a_selection_takes_short_names_several_values_and_many_cells_are_counted(recorded, capsys):
    folder, workdir, _ = recorded
    many = lines_of(capsys, folder, workdir, "wiring=pre|post")
    assert said(many, "cells") == ["8: 8 have a result (7 done, 1 failed), 0 would run"]
    few = lines_of(capsys, folder, workdir, "model.wiring=pre,learning_rate=1e-2")
    assert len(said(few, "cell")) == 2 and all("wiring=pre" in line for line in said(few, "cell"))


def test_an_arm_is_chosen_by_its_name(tmp_path, capsys):
    text = tiny.SWEEP.replace(
        'hyper.sweep("model.wiring", ["post", "pre"])',
        '[{"arm": "old one", "model.wiring": "post"}, {"arm": "new", "model.wiring": "pre", "model.init": "gpt2"}]',
    )
    text = text.replace('rows=("model.wiring",)', 'rows=("arm",)').replace('{"model.wiring": "post"}', "None")
    workdir, made = tiny.prepare(tmp_path, text)
    lines = lines_of(capsys, tmp_path, workdir, "arm=old one,init=1,learning_rate=3e-2", text=text)
    assert said(lines, "cell")[0].endswith("arm=old one, learning_rate=3e-2, seed.init=1")
    assert made.arms[said(lines, "cell")[0].split()[0]] == "old one"


def test_all_mistakes_come_at_once_with_status_2_and_it_knows_no_jax(tmp_path):
    wrong = [f"--config={tiny.write(tmp_path)}", f"--workdir={tmp_path / 'no'}", "--config.model.widht=1"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.why", *wrong], cwd=tiny.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and not done.stdout and len(done.stderr.splitlines()) == 2
    code = "import sys, experiments.why; sys.exit(bool({'jax', 'flax'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tiny.ROOT, check=False).returncode == 0


def test_the_nearest_differs_in_the_fewest_fields_and_ties_go_to_those_preferred():
    others = {"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 3, "y": 1}}
    assert differences.nearest([{"x": 2, "y": 2}, {"x": 9, "y": 1}], others) == ["b", "a"]
    assert differences.nearest([{"x": 9, "y": 1}], others, {"c"}) == ["c"]
    assert differences.nearest([{"x": 9}], {}) == [None]
    assert differences.change(1e-3, 1.0000001e-3) == "0.001 -> 0.0010000001"
    assert differences.change(None, "auto") == "None -> 'auto'"


def test_a_plan_of_thousands_is_explained_in_seconds(tmp_path):
    text = tiny.SWEEP.replace("[1e-2, 3e-2]", "[k / 1e4 for k in range(1, 11)]").replace("[0, 1]", "range(50)")
    made = plan.make(sweep_file.read(tiny.write(tmp_path, text)), {})
    flat = {cell: records.flatten(records.plain(to_dict(config))) for cell, config in made.cells.items()}
    wider = {cell: config | {"model.width": 16} for cell, config in flat.items()}
    done = [f"old {cell}" for cell in flat]
    recorded = dict(zip(done, flat.values(), strict=True))
    workdir = reasons.Workdir(str(tmp_path), made, {}, wider, recorded, {cell: {"status": "done"} for cell in done})
    found = workdir.reasons()
    assert len(found) == 1000
    assert all(reason.changes == {"model.width": (8, 16)} for reason in found.values())
    assert all(reason.nearest == f"old {cell}" for cell, reason in found.items())
