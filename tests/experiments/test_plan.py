"""Sweep files read, and plans made of them."""

import subprocess
import sys

import pytest

from experiments import plan, records, sweep_file
from flax_tx.config import identity
from flax_tx.errors import UserError
from tests.experiments import tiny


def problems_of(path, overrides=()):
    with pytest.raises(UserError) as caught:
        plan.make(sweep_file.read(path), sweep_file.parse(list(overrides)))
    return caught.value.problems


@pytest.fixture
def tiny_plan(tmp_path):
    return plan.make(sweep_file.read(tiny.write(tmp_path)), {})


def test_cells_that_differ_in_data_alone_share_a_program(tiny_plan):
    assert len(tiny_plan.cells) == 8
    assert sorted(len(cells) for cells in tiny_plan.programs.values()) == [4, 4]
    for cells in tiny_plan.programs.values():
        assert len({tiny_plan.cells[cell].model.wiring for cell in cells}) == 1


def test_a_cell_is_named_by_its_config(tiny_plan):
    assert all(identity(config) == cell for cell, config in tiny_plan.cells.items())


def test_equal_cells_are_planned_once(tmp_path):
    path = tiny.write(tmp_path, tiny.SWEEP.replace('"seed.init", [0, 1]', '"seed.init", [0, 0, 1]'))
    assert len(plan.make(sweep_file.read(path), {}).cells) == 8


def test_an_override_holds_an_axis_at_one_value(tmp_path):
    made = plan.make(sweep_file.read(tiny.write(tmp_path)), sweep_file.parse(["--config.model.wiring=pre"]))
    assert {config.model.wiring for config in made.cells.values()} == {"pre"}
    assert made.axes["model.wiring"] == ["pre"]
    assert len(made.cells) == 4
    assert "held" in made.notes[0]


def test_deep_programs_come_first(tmp_path):
    text = tiny.SWEEP.replace('"model.wiring", ["post", "pre"]', '"model.num_layers", [1, 3, 2]')
    text = text.replace('rows=("model.wiring",)', 'rows=("model.num_layers",)').replace(
        '{"model.wiring": "post"}', "None"
    )
    made = plan.make(sweep_file.read(tiny.write(tmp_path, text)), {})
    assert [made.cells[cells[0]].model.num_layers for cells in made.programs.values()] == [3, 2, 1]


def test_problems_of_all_cells_are_reported_once_each(tmp_path):
    text = tiny.SWEEP.replace('["post", "pre"]', '["pots", "pre"]').replace("[1e-2, 3e-2]", '[1e-2, "fast"]')
    problems = problems_of(tiny.write(tmp_path, text))
    assert len([p for p in problems if "did you mean post?" in p]) == 1
    assert len([p for p in problems if "optim.learning_rate = 'fast': expected float" in p]) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def get_config", "def get_confg", "expected a function get_config(); did you mean get_confg?"),
        ("c.model.width = 8", "c.model.widht = 8", "widht: no such field; did you mean width?"),
        ("c.model.width = 8", "c.model.width = 1 / 0", "ZeroDivisionError"),
        ("c.model.width = 8", "c.model.width = (", "SyntaxError"),
        ('"seed.init", [0, 1]', '"seed.inti", [0, 1]', "did you mean seed.init?"),
        ('rows=("model.wiring",)', 'rows=("model.wirng",)', "did you mean model.wiring?"),
        ('hyper.sweep("seed.init", [0, 1]),', 'hyper.sweep("model.bias", [True, False]),', "'model.bias' has no role"),
        ('"markov1"', '"markow1"', "did you mean markov1?"),
        ("c.data.seq_len = 8", "c.data.seq_len = 1", "expected at least 2"),
    ],
)
def test_a_mistake_in_a_sweep_file_is_a_line(tmp_path, old, new, expected):
    assert old in tiny.SWEEP
    problems = problems_of(tiny.write(tmp_path, tiny.SWEEP.replace(old, new)))
    assert any(expected in problem for problem in problems), problems
    assert not any("\n" in problem for problem in problems)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("def get_config(): return 5", "get_config() gives 5: expected config.default(), changed"),
        ("def get_hyper(hyper): return 5", "get_hyper() gives 5: expected a list of dicts"),
        ("def get_hyper(hyper): return [{1}]", "get_hyper() gives {1}: expected a list of dicts"),
        ("def get_table(): return 'rows'", "get_table() gives 'rows': expected a list of Table"),
        ("def get_table(): return [Table(()), 5]", "get_table() gives 5 in its list: expected a list of Table"),
        ("def get_table(): return Table(('model.wiring'))", "did you mean ('model.wiring',)?"),
        ("def get_claims(): return 5", "get_claims() gives 5: expected a list of Claim"),
        ("def get_claims(): return ['T-1']", "get_claims() gives 'T-1' in its list: expected a list of Claim"),
        ("def get_claims():\n    yield from []\n    raise ValueError('boom')", "ValueError: boom"),
        ("def get_figure(): return 'lines'", "get_figure() gives 'lines': expected a Figure"),
    ],
)
def test_a_function_that_gives_something_else_is_a_line(tmp_path, added, expected):
    (problem,) = problems_of(tiny.write(tmp_path, f"{tiny.SWEEP}\n\n{added}\n"))
    assert expected in problem


def test_a_mistake_is_at_a_line_however_the_file_is_named(tmp_path, monkeypatch):
    tiny.write(tmp_path, f"{tiny.SWEEP}\n\ndef get_claims():\n    return {{}}['x']\n")
    monkeypatch.chdir(tmp_path)
    (problem,) = problems_of("tiny.py")
    assert problem == f"tiny.py:{len(tiny.SWEEP.splitlines()) + 4}: KeyError: 'x'"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("model.width=64", 64),
        ("model.head_dim=None", None),
        ("optim.learning_rate=1e-3", 1e-3),
        ("model.bias=true", True),
        ("model.wiring=None", "None"),
        ("model.segments=[{'num_heads': 2}]", [{"num_heads": 2}]),
        ("model.width=x", "x"),
    ],
)
def test_command_line_values_have_the_type_of_their_field(text, value):
    ((_, parsed),) = sweep_file.parse([f"--config.{text}"]).items()
    assert parsed == value
    assert type(parsed) is type(value)


def test_an_unknown_flag_names_the_nearest():
    with pytest.raises(UserError, match="did you mean --lanes"):
        sweep_file.parse(["--lane=3"], ["--lanes", "--config"])


def test_planning_ten_thousand_cells_takes_seconds_and_no_jax(tmp_path):
    text = tiny.SWEEP.replace("[1e-2, 3e-2]", "[k / 1e4 for k in range(1, 51)]").replace("[0, 1]", "range(100)")
    script = (
        "import sys; from experiments import plan, sweep_file\n"
        f"made = plan.make(sweep_file.read({tiny.write(tmp_path, text)!r}), {{}})\n"
        "print(len(made.cells), len(made.programs), 'jax' in sys.modules, 'flax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tiny.ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["10000", "2", "False", "False"], done.stderr


ARMS = tiny.SWEEP.replace(
    'hyper.sweep("model.wiring", ["post", "pre"])',
    '[{"arm": "post", "model.wiring": "post"}, {"arm": "gpt2", "model.wiring": "pre", "model.init": "gpt2"}]',
)
ARMS = ARMS.replace('rows=("model.wiring",)', 'rows=("arm",)').replace('{"model.wiring": "post"}', '{"arm": "post"}')


def test_an_arm_is_a_name_beside_the_config(tmp_path):
    workdir, made = tiny.prepare(tmp_path, ARMS)
    _, plain = tiny.prepare(tmp_path / "plain")
    assert len(made.cells) == 8 and set(made.arms) == set(made.cells)
    post = {cell for cell, config in made.cells.items() if config.model.wiring == "post"}
    assert post == {cell for cell, config in plain.cells.items() if config.model.wiring == "post"}
    assert {cell for cell, arm in made.arms.items() if arm == "post"} == post
    assert {config.model.init for cell, config in made.cells.items() if made.arms[cell] == "gpt2"} == {"gpt2"}
    assert records.sweep(workdir)["arms"] == made.arms
    assert records.load(workdir).arm.to_dict() == made.arms
    assert "arm" not in records.load(tmp_path / "plain" / "run")


def test_fields_that_go_with_the_arm_are_no_axes(tmp_path):
    _, made = tiny.prepare(tmp_path, ARMS)
    assert made.axes == {"arm": ["post", "gpt2"], "optim.learning_rate": [1e-2, 3e-2], "seed.init": [0, 1]}


def test_a_field_that_varies_within_an_arm_is_an_axis(tmp_path):
    text = ARMS.replace('{"arm": "post", ', '{"arm": "gpt2", "model.init": "xavier", ').replace(
        '{"arm": "post"}', "None"
    )
    problems = problems_of(tiny.write(tmp_path, text))
    assert [problem for problem in problems if "'model.wiring' has no role" in problem]
    assert [problem for problem in problems if "'model.init' has no role" in problem]


def test_two_names_of_one_cell_are_one_line(tmp_path):
    text = ARMS.replace('"model.wiring": "pre", "model.init": "gpt2"', '"model.wiring": "post"')
    assert problems_of(tiny.write(tmp_path, text)) == [
        "arm = 'gpt2': the same cell as the arm 'post'; expected arms that differ in a field"
    ]
