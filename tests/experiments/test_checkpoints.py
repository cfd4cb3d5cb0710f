"""Checkpoints: an interrupted cell ends as an uninterrupted one to the bit, and nothing else is ever gone on from."""

import json
import shutil

import numpy as np
import pytest

from experiments import checkpoints, engine, growth, records
from experiments.group import Group
from experiments.member import Member
from experiments.settings import Settings
from flax_tx.config import structure
from flax_tx.values import values
from tests.experiments import tiny

ALWAYS = Settings(checkpoint_seconds=0)
TIMES = ("seconds", "finished", "tokens_per_second", "train_seconds", "compile_seconds", "files", "seal")
PROBED = tiny.SWEEP.replace("return c", "c.probe.start = True\n    c.probe.layers = True\n    return c").replace(
    '["post", "pre"]', '["pre"]'
)
PROBED = PROBED.replace('baseline={"model.wiring": "post"}', "baseline=None")


def train(workdir, made, settings=ALWAYS, stop=None):
    """Runs every program; with `stop`, only until that many progress events have passed, as a kill would."""
    seen = 0
    for program in made.programs:
        for event in engine.run_program(workdir, program, settings):
            seen += event["event"] == "progress"
            if seen == stop:
                return


def outcome(workdir, cell):
    """Everything that a cell left, without its times: tables as bytes, numbers as they are."""
    folder = records.cell_dir(workdir, cell)
    tables = {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}
    said = [json.loads((folder / name).read_text()) for name in ("summary.json", "status.json")]
    return tables, [{name: value for name, value in one.items() if name not in TIMES} for one in said]


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Every program of this module is compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        compile_program, known = engine.compile_program, {}

        def remember(config, *rest):
            program = structure(config)
            known[program] = known.get(program) or compile_program(config, *rest)
            return known[program]

        patch.setattr(engine, "compile_program", remember)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that was never interrupted and never saved: (workdir, plan)."""
    workdir, made = tiny.prepare(tmp_path_factory.mktemp("whole"), PROBED)
    train(workdir, made, Settings(checkpoint_seconds=-1))
    return workdir, made


@pytest.fixture
def interrupted(tmp_path):
    """The same sweep, stopped in the middle of its second cell: (workdir, plan, cell)."""
    workdir, made = tiny.prepare(tmp_path, PROBED)
    train(workdir, made, stop=5)
    (folder,) = (records.Path(workdir) / "checkpoints").iterdir()
    return workdir, made, folder.name


def resumed_at(workdir, made):
    """The first step that each cell reports now."""
    first = {}
    for program in made.programs:
        for event in engine.run_program(workdir, program, ALWAYS):
            if event["event"] == "progress":
                first.setdefault(event["cell"], event["step"])
    return first


def test_interrupted_and_resumed_is_uninterrupted_to_the_bit(whole, interrupted):
    workdir, made, cell = interrupted
    first = resumed_at(workdir, made)
    assert first[cell] == 12
    assert {step for name, step in first.items() if name != cell} == {5}
    for name in made.cells:
        assert outcome(workdir, name) == outcome(whole[0], name)
    assert not list((records.Path(workdir) / "checkpoints").iterdir())


def test_only_the_newest_checkpoint_is_kept(interrupted):
    workdir, _, cell = interrupted
    folder = records.Path(workdir) / "checkpoints" / cell
    assert sorted(path.name for path in folder.iterdir()) == ["10", "10.json"]


def test_a_cell_never_saved_leaves_no_folder(tmp_path):
    workdir, made = tiny.prepare(tmp_path, PROBED)
    train(workdir, made, Settings(), stop=5)
    assert not (records.Path(workdir) / "checkpoints").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def foreign(folder):
    path = folder / "10.json"
    about = records.read_json(path)
    about["origin"]["jaxlib"] = "0.0.1"
    records.write_json(path, about)


SPOILED = {
    "a flipped bit": (lambda folder: flip(largest(folder / "10")), "damaged"),
    "a torn array": (lambda folder: largest(folder / "10").write_bytes(b""), "damaged"),
    "a vanished array": (lambda folder: largest(folder / "10").unlink(), "damaged"),
    "a file too many": (lambda folder: (folder / "10" / "more").write_text("x"), "damaged"),
    "a torn manifest": (lambda folder: (folder / "10.json").write_text("{"), "damaged"),
    "a vanished folder": (lambda folder: shutil.rmtree(folder / "10"), "damaged"),
    "another jaxlib": (foreign, "made with another jaxlib"),
}


@pytest.mark.parametrize("spoil, reason", SPOILED.values(), ids=SPOILED.keys())
def test_what_is_not_whole_and_ours_is_not_used_and_the_log_says_why(whole, interrupted, capfd, spoil, reason):
    workdir, made, cell = interrupted
    folder = records.Path(workdir) / "checkpoints" / cell
    spoil(folder)
    program = next(name for name, cells in made.programs.items() if cell in cells)
    first = next(e for e in engine.run_program(workdir, program, ALWAYS) if e["event"] == "progress")
    assert (first["cell"], first["step"]) == (cell, 5)
    said = capfd.readouterr().err
    assert f"{folder / '10.json'}: not used: " in said and reason in said


def test_a_spoiled_checkpoint_changes_no_number(whole, interrupted):
    workdir, made, cell = interrupted
    flip(largest(records.Path(workdir) / "checkpoints" / cell))
    train(workdir, made)
    assert outcome(workdir, cell) == outcome(whole[0], cell)


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_cell(whole, tmp_path, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    workdir, made = tiny.prepare(tmp_path, PROBED)
    train(workdir, made)
    assert "no checkpoint: [Errno 28]" in capfd.readouterr().err
    assert all(outcome(workdir, cell) == outcome(whole[0], cell) for cell in made.cells)


def test_every_array_of_a_run_comes_back_to_the_bit(whole, tmp_path):
    config = next(iter(whole[1].cells.values()))
    compiled = engine.compile_program(config)
    run = checkpoints.Run(compiled.training.init(values(config)), [], [])
    group = Group(compiled)
    group.enter(Member("cell", config, run=run))
    group.advance()
    run = group.show(0)
    checkpoints.save(tmp_path / "cell", run, {"code": "x"})
    again = checkpoints.load(tmp_path / "cell" / "5.json", run.state, {"code": "x"})
    kept, back = run.arrays(), again.arrays()
    assert kept.keys() == back.keys()
    for name in kept:
        assert kept[name].dtype == back[name].dtype
        np.testing.assert_array_equal(kept[name], back[name])


CONSTANT = PROBED.replace("c.probe.start = True", 'c.optim.schedule = "constant"\n    c.optim.warmup_steps = 3')
LONGER = CONSTANT.replace("c.train.steps = 12", "c.train.steps = 23")
KEEP = Settings(checkpoint_seconds=-1, keep_state=True)


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """The longer sweep, trained whole: (workdir, plan)."""
    workdir, made = tiny.prepare(tmp_path_factory.mktemp("longer"), LONGER)
    train(workdir, made, Settings(checkpoint_seconds=-1))
    return workdir, made


def test_longer_training_goes_on_from_a_kept_state_to_the_bit(longer, tmp_path):
    workdir, short = tiny.prepare(tmp_path, CONSTANT)
    train(workdir, short, KEEP)
    _, made = tiny.prepare(tmp_path, LONGER)
    (note,) = growth.notes(made, workdir, made.cells)
    assert note == "4 cells are longer than cells of 12 steps that have a result: they go on from there"
    assert set(resumed_at(workdir, made).values()) == {15}
    for cell in made.cells:
        assert outcome(workdir, cell) == outcome(longer[0], cell)


WHY = {
    "not kept": (CONSTANT, Settings(), "no last state was kept"),
    "cosine": (PROBED, KEEP, "optim.schedule = 'cosine' depends on train.steps"),
}


@pytest.mark.parametrize("text, settings, reason", WHY.values(), ids=WHY.keys())
def test_longer_training_that_begins_anew_says_why(tmp_path, text, settings, reason):
    workdir, short = tiny.prepare(tmp_path, text)
    train(workdir, short, settings)
    assert (records.Path(workdir) / "states").exists() is False
    _, made = tiny.prepare(tmp_path, text.replace("c.train.steps = 12", "c.train.steps = 23"))
    (note,) = growth.notes(made, workdir, made.cells)
    assert "start anew" in note and reason in note
    assert set(resumed_at(workdir, made).values()) == {5}
