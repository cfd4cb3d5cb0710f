"""What a user wrote becomes one checked Config, or every problem at once; no JAX."""

import functools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flax_tx import config
from flax_tx.config import Config, freeze, identity, knobs, resolve, structure, to_dict
from flax_tx.errors import UserError
from tests.flax_tx import changes

TINY = {"model.width": 16, "model.num_layers": 2, "model.num_heads": 2, "train.steps": 20}
EVERY_KNOB = pytest.mark.parametrize("name", knobs())

MISTAKES = [
    ({"model.widht": 32}, ["model.widht = 32", "no such field", "did you mean model.width?"]),
    ({"depth": 3}, ["depth = 3", "no such field"]),
    ({"optim.num_layers": 3}, ["optim.num_layers = 3", "did you mean model.num_layers?"]),
    ({"model.width": "64"}, ["model.width = '64'", "expected int", "got str"]),
    ({"model.width": 64.5}, ["model.width = 64.5", "expected int", "got float"]),
    ({"model.width": True}, ["model.width = True", "expected int", "got bool"]),
    ({"model.width": None}, ["model.width = None", "expected int"]),
    ({"model.width": 0}, ["model.width = 0", "at least 1"]),
    ({"model.width": 10**12}, ["model.width = 1000000000000", "expected at most"]),
    ({"model.bias": 1}, ["model.bias = 1", "expected bool"]),
    ({"model.norm.scale": "yes"}, ["model.norm.scale = 'yes'", "expected bool or None"]),
    ({"model.num_layers": 0}, ["model.num_layers = 0", "at least 1"]),
    ({"model.num_layers": 10**30}, ["model.num_layers = 1" + 30 * "0", "at most 10000"]),
    ({"model.wiring": "prenorm"}, ["model.wiring = 'prenorm'", "expected one of post, pre,", "did you mean"]),
    ({"model.wiring": "deep-norm"}, ["did you mean deepnorm?"]),
    ({"model.wiring": ["pre"]}, ["model.wiring = ['pre']", "expected str", "got list"]),
    ({"model.norm.eps": 0}, ["model.norm.eps = 0", "more than 0"]),
    ({"model.dropout.branch": 1}, ["model.dropout.branch = 1", "less than 1"]),
    ({"optim.learning_rate": float("nan")}, ["optim.learning_rate = nan", "finite"]),
    ({"optim.learning_rate": float("inf")}, ["optim.learning_rate = inf", "finite"]),
    ({"optim.learning_rate": -1}, ["optim.learning_rate = -1", "at least 0"]),
    ({"optim.learning_rate": 10**400}, ["optim.learning_rate = 1", "expected float"]),
    ({"seed.init": -1}, ["seed.init = -1", "at least 0"]),
    ({"seed.data": 2**31}, ["seed.data = 2147483648", "at most 2147483647"]),
    ({"model.num_heads": 7}, ["model.num_heads = 7", "a divisor of model.width = 64", "did you mean 8?"]),
    ({"model.positions": "rotary", "model.head_dim": 5}, ["model.positions = 'rotary'", "even", "got 5"]),
    ({"model.wiring": "deepnorm", "model.slots.pre": True}, ["model.slots.pre = True", "'deepnorm' has no norm there"]),
    ({"model.wiring": "sandwich", "model.slots.main": True}, ["model.slots.main = True", "'sandwich'", "'custom'"]),
    ({"model.wiring": "pre", "model.slots.branch": True}, ["model.slots.branch = True", "it is the wiring 'sandwich'"]),
    ({"model.wiring": "rezero", "model.gains.branch": 0.5}, ["model.gains.branch = 0.5", "'rezero' learns this gain"]),
    ({"optim.warmup_steps": 301}, ["optim.warmup_steps = 301", "at most train.steps = 300"]),
    ({"model.causal": False, "data.task": "lm"}, ["model.causal = False", "language model"]),
    ({"model.causal": False, "data.name": "kjv"}, ["model.causal = False", "language model"]),
    ({"model.segments": [{"num_layers": 5}]}, ["model.num_layers = 6", "expected 5"]),
    ({"model.segments": [{"num_layer": 6}]}, ["model.segments[0].num_layer = 6", "did you mean num_layers?"]),
    ({"model.segments": [{"width": 32}]}, ["model.segments[0].width = 32", "not a field of a segment"]),
    ({"model.segments": [{"num_heads": -1}]}, ["model.segments[0].num_heads = -1", "at least 1"]),
    ({"model.segments": ["6"]}, ["model.segments[0] = '6'", "expected a dict"]),
    ({"model.segments": "post"}, ["model.segments = 'post'", "expected tuple"]),
    ({"model.pruned_layers": (2, 0)}, ["model.pruned_layers = (2, 0)", "layers, counted from 1, such as (1, 3)"]),
    ({"model.pruned_layers": (1.5,)}, ["model.pruned_layers = (1.5,)", "layers, counted from 1"]),
    ({"model.pruned_layers": [float("inf")]}, ["model.pruned_layers = (inf,)", "layers, counted from 1"]),
    ({"model.pruned_layers": (1, 7)}, ["model.pruned_layers = (1, 7)", "no layer 7", "from 1 to 6"]),
    ({"train.steps": 0}, ["train.steps = 0", "probe.start = True"]),
    ({"train.steps": 0, "probe.start": True, "probe.layers": True}, ["probe.layers = True", "after the last step"]),
    (
        {
            "probe.heads": True,
            "model.num_layers": 2,
            "model.segments": ({"num_heads": 2, "num_layers": 1},) * 1 + ({"num_layers": 1},),
        },
        ["probe.heads = True", "2, 4"],
    ),
    ({"model.pruned_heads": ((1, 5),)}, ["model.pruned_heads = ((1, 5),)", "no head 5 in a layer 1"]),
    ({"model.pruned_heads": ((1, float("inf")),)}, ["model.pruned_heads = ((1, inf),)", "pairs of layer and head"]),
]


@EVERY_KNOB
def test_a_default_has_the_type_of_its_field(name):
    field = knobs()[name]
    coerced = config.coerce(field.default, field.type)
    assert type(coerced) is type(field.default)
    assert coerced == field.default


def test_the_default_config_is_the_schema():
    assert freeze(config.default()) == Config()
    assert config.default().is_locked
    assert set(config.flatten(config.default())) == set(knobs())


@pytest.mark.parametrize(("values", "fragments"), MISTAKES, ids=lambda item: " ".join(item))
def test_a_mistake_gives_one_line_that_says_it_all(values, fragments):
    _, problems = resolve(values)
    assert len(problems) == 1, problems
    for fragment in fragments:
        assert fragment in problems[0]


def test_all_mistakes_are_reported_at_once():
    segments = [{"num_heads": 0, "widht": 3}, 7]
    wrong = {"model.widht": 1, "model.num_layers": 0, "optim.name": "adm", "seed.init": -1, "model.segments": segments}
    with pytest.raises(UserError) as raised:
        freeze(wrong)
    starts = [line.split(" = ")[0] for line in raised.value.problems]
    inside = ["model.segments[0].num_heads", "model.segments[0].widht", "model.segments[1]"]
    assert starts == ["model.widht", "model.num_layers", "optim.name", "seed.init", *inside]


def test_all_contradictions_are_reported_at_once():
    wrong = {"model.wiring": "rezero", "model.slots.main": True, "model.gains.branch": 1, "model.num_heads": 5}
    _, problems = resolve(wrong | {"optim.warmup_steps": 1e6})
    assert sorted(line.split(" = ")[0] for line in problems) == [
        "model.gains.branch",
        "model.num_heads",
        "model.slots.main",
        "optim.warmup_steps",
    ]


def test_a_contradiction_in_two_segments_is_told_once():
    _, problems = resolve({"model.num_layers": 2, "model.num_heads": 3, "model.segments": [{"num_ffn": 1}, {}]})
    assert len(problems) == 1
    assert problems[0].startswith("model.num_heads = 3")


def test_a_contradiction_of_a_segment_names_the_segment():
    _, problems = resolve({"model.num_layers": 2, "model.segments": [{}, {"num_heads": 3}]})
    assert [problem.split(" = ")[0] for problem in problems] == ["model.segments[1].num_heads"]


def test_tied_blocks_fill_the_runs_of_an_encoder_too():
    mixed = {"model.wiring": "mix-ln", "model.num_layers": 8, "model.tie": 2, "model.encoder_layers": 4}
    assert resolve(mixed)[1] == []
    _, problems = resolve(mixed | {"data.name": "translation"})
    assert [problem[:39] for problem in problems] == [f"model.tie = 2: expected a divisor of {n}," for n in (1, 3)]


def test_a_segment_above_a_mixed_wiring_is_named_too():
    segments = [{"wiring": "mix-ln", "num_layers": 4}, {"num_layers": 2, "num_heads": 5}]
    _, problems = resolve({"model.num_layers": 6, "model.segments": segments})
    assert len(problems) == 1 and problems[0].startswith("model.segments[1].num_heads = 5: expected a divisor")


@pytest.mark.parametrize("rate", [1e39, 1e-50])
def test_a_number_that_float32_cannot_hold_is_refused(rate):
    _, problems = resolve({"optim.learning_rate": rate})
    assert len(problems) == 1
    assert "float32" in problems[0]


def test_an_empty_group_is_not_passed_over():
    with pytest.raises(UserError, match=r"model\.widht"):
        freeze({"model": {"widht": {}}})


def test_one_and_one_point_zero_are_the_same_cell():
    whole, real = ({"optim.learning_rate": one, "model.width": 64 * one} for one in (1, 1.0))
    assert freeze(whole) == freeze(real)
    assert identity(freeze(whole)) == identity(freeze(real))


def test_zero_and_minus_zero_are_the_same_cell():
    plus, minus = (freeze({"optim.weight_decay": zero}) for zero in (0.0, -0.0))
    assert plus == minus
    assert identity(plus) == identity(minus)


def test_pruned_layers_are_a_set():
    one, other = (freeze({"model.pruned_layers": layers}) for layers in ((1, 3), [3, 1.0, 1, 3]))
    assert identity(one) == identity(other)
    assert one.model.pruned_layers == (1, 3)


def test_fields_of_a_segment_have_no_order():
    one, other = ({"model": {"num_layers": 1, "segments": [fields]}} for fields in (SEGMENT, SEGMENT[::-1]))
    assert freeze(one) == freeze(other)


SEGMENT = [("num_heads", 8), ("num_ffn", 2), ("dropout", {"branch": 0.1})]


def of(values):
    found, problems = resolve(TINY | values)
    assert not problems
    return found


@EVERY_KNOB
def test_every_knob_is_part_of_the_identity(name):
    value, context = changes.ALL[name]
    before, after = of(context), of(context | {name: value})
    if name != "model.segments":
        assert functools.reduce(getattr, name.split("."), after) == value
    assert identity(before) != identity(after)


# As they were before the first knob came late: workdirs and results are full of such names.
NAMED_BEFORE = {
    "9804dc57b9d1": {},
    "8630bf6abbc4": {"model.wiring": "deepnorm", "seed.init": 3, "model.num_layers": 24},
}


def test_cells_keep_the_names_that_they_had_before_a_knob_came_late():
    for name, fields in NAMED_BEFORE.items():
        assert identity(freeze(fields)) == name
        recorded = to_dict(freeze(fields))
        del recorded["mesh"], recorded["model"]["remat"]
        assert config.name_of(recorded) == name
        assert config.complete(recorded) == to_dict(freeze(fields))


def test_a_late_knob_that_is_recorded_stays_as_it_is():
    asked = to_dict(freeze({"mesh.data": 2}))
    assert config.complete(asked) == asked
    del asked["mesh"]["fsdp"]
    assert config.complete(asked)["mesh"] == {"data": 2, "fsdp": 1, "tensor": 1}
    assert config.name_of(asked) == identity(freeze({"mesh.data": 2}))


UNEVEN = {
    "train.batch_size": {"mesh.data": 3, "mesh.fsdp": 2},
    "model.width": {"mesh.fsdp": 3, "train.batch_size": 3},
    "model.num_heads": {"mesh.tensor": 3, "model.mlp_dim": 6},
    "model.num_kv_heads": {"mesh.tensor": 2, "model.num_kv_heads": 1},
    "model.mlp_dim": {"mesh.tensor": 2, "model.mlp_dim": 7},
}


@pytest.mark.parametrize("name", UNEVEN)
def test_a_size_that_the_mesh_does_not_divide_is_named(name):
    with pytest.raises(UserError) as raised:
        freeze(TINY | UNEVEN[name])
    (line,) = raised.value.problems
    assert line.startswith(f"{name} = ") and "expected a multiple of mesh." in line


TUPLES = {"model.pruned_heads": ((2, 1),), "model.pruned_layers": (1,)}


@EVERY_KNOB
def test_only_numbers_that_are_data_share_a_structure(name):
    value, context = changes.ALL[name]
    field = knobs()[name]
    before, after = structure(of(context)), structure(of(context | {name: value}))
    apart = field.default is None or field.metadata.get("off") == field.default
    shared = field.metadata.get("data", False) and not apart
    assert (before == after) is shared
    assert (hash(before) == hash(after)) is shared
    if field.metadata.get("data"):
        another = {int: lambda: value + 1, tuple: lambda: TUPLES[name]}.get(field.type, lambda: value / 2)()
        other = structure(of(context | {name: another}))
        assert other == after and hash(other) == hash(after)


def test_numbers_of_a_segment_are_data_too():
    one, two, off, other = (
        structure(of({"model.segments": [{"num_layers": 2, **fields}]}))
        for fields in (
            {"dropout": {"branch": 0.1}},
            {"dropout": {"branch": 0.2}},
            {"dropout": {"branch": 0.0}},
            {"dropout": {"branch": 0.1}, "num_heads": 4},
        )
    )
    assert one == two
    assert len({one, off, other}) == 3


NAMES = st.sampled_from([*knobs(), "model", "segments"]) | st.text("abcdehilmnoprtw._", max_size=12)
CHOICES = sorted({name for field in knobs().values() for name in field.metadata.get("among", ())})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(0, 8)
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([*CHOICES, 10**400])
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


@settings(max_examples=300, deadline=None)
@given(st.sets(st.sampled_from([*changes.ALL])), st.dictionaries(NAMES, JSON, max_size=2))
def test_anything_gives_a_config_that_json_keeps_or_problems(right, odd):
    found, problems = resolve({name: changes.ALL[name][0] for name in right} | odd)
    assert all("\n" not in line and " = " in line for line in problems)
    if not problems:
        again = freeze(json.loads(json.dumps(to_dict(found))))
        assert again == found and hash(again) == hash(found) and identity(again) == identity(found)
        assert structure(structure(found)) == structure(found)
