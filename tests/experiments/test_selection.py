"""The grammar of choosing: every short name that means one field, numbers by value, and all mistakes at once."""

import pytest

from experiments import records
from experiments.selection import ALIASES, Fields, keep
from experiments.table_spec import Table
from flax_tx.config import knobs
from flax_tx.errors import UserError, together
from tests.experiments import synthetic


def manifest(axes, labels=None):
    return {"axes": axes, "table": Table(rows=tuple(axes)[:1], labels=labels or {}).to_json()}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """(manifest, frame) of the synthetic sweep."""
    folder = tmp_path_factory.mktemp("runs") / "depth"
    return synthetic.write(folder, depths=(6, 12), steps=4), records.load(folder)


@pytest.fixture(scope="module")
def fields(sweep):
    return Fields.of(sweep)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("model.wiring", "model.wiring"),
        ("wiring", "model.wiring"),
        ("norm.kind", "model.norm.kind"),
        ("kind", "model.norm.kind"),
        ("norm", "model.norm.kind"),
        ("depth", "model.num_layers"),
        ("lr", "optim.learning_rate"),
        ("seed", "seed.init"),
        ("optim", "optim.learning_rate"),
        ("width", "model.width"),
        ("heads", "model.num_heads"),
        ("slots.final", "model.slots.final"),
        ("gains.skip", "model.gains.skip"),
    ],
)
def test_a_field_goes_by_any_name_that_means_it_alone(fields, name, field):
    assert fields.named(name, "where") == field


def test_every_alias_is_of_a_knob():
    assert set(ALIASES.values()) <= set(knobs())


def test_what_varies_comes_before_what_every_cell_has(sweep):
    axes = Fields.of((manifest({"model.norm.eps": [1e-6, 1e-5]}), sweep[1]))
    assert axes.named("eps", "where") == "model.norm.eps"
    with pytest.raises(UserError, match=r"'eps': expected one field, and it may be model\.norm\.eps or optim\.eps"):
        Fields.of(sweep).named("eps", "where")


def test_an_alias_beside_a_tail_of_that_name_is_ambiguous(sweep):
    both = Fields.of((manifest({"model.num_layers": [6, 12], "model.dropout.depth": [0.0, 0.1]}), sweep[1]))
    with pytest.raises(UserError, match=r"model\.num_layers or model\.dropout\.depth"):
        both.named("depth", "where")
    assert both.named("dropout.depth", "where") == "model.dropout.depth"


@pytest.mark.parametrize(
    "text", ["lr=0.001", "lr=1e-3", "lr=.001", "learning_rate=1.0E-3", "optim.learning_rate = 1e-3"]
)
def test_numbers_are_what_they_are_worth(fields, text):
    assert fields.where(text) == {"optim.learning_rate": (0.001,)}


@pytest.mark.parametrize(
    ("value", "texts"),
    [(None, ("auto", "None", "none")), (True, ("yes", "True", "true")), (False, ("no", "false")), (6, ("6", "6.0"))],
)
def test_values_go_as_tables_and_as_python_write_them(sweep, value, texts):
    chosen = Fields.of((manifest({"model.slots.final": [None, True, False, 6]}), sweep[1]))
    for text in texts:
        assert chosen.where(f"final={text}") == {"model.slots.final": (value,)}


def test_one_is_not_true(sweep):
    chosen = Fields.of((manifest({"model.slots.final": [True]}), sweep[1]))
    with pytest.raises(UserError, match="every cell has yes"):
        chosen.where("slots.final=1")


def test_values_with_commas_bars_and_labels_are_theirs(sweep):
    axes = {"arm": ["Pre-LN, GPT-2", "a|b", "c"], "model.pruned_heads": [((1, 2), (3, 4)), ()]}
    chosen = Fields.of((manifest(axes, {"c": "Third $ arm"}), sweep[1]))
    assert chosen.where("arm=Pre-LN, GPT-2|c,pruned_heads=[[1, 2], [3, 4]]") == {
        "arm": ("Pre-LN, GPT-2", "c"),
        "model.pruned_heads": (((1, 2), (3, 4)),),
    }
    assert chosen.where("arm=a|b") == {"arm": ("a|b",)}
    assert chosen.where("arm=Third $ arm") == {"arm": ("c",)}


def test_where_keeps_the_rows_that_have_the_values(sweep, fields):
    frame = keep(sweep[1], fields.where("wiring=pre|deepnorm,depth=12,norm=rmsnorm,width=64"))
    assert set(frame["model.wiring"]) == {"pre", "deepnorm"}
    assert (frame["model.num_layers"] == 12).all() and (frame["model.norm.kind"] == "rmsnorm").all()
    assert len(frame) == 2 * 2 * 2  # rates and seeds


def test_lists_of_fields_must_vary(fields):
    assert fields.listed("wiring, depth", "group_by") == ("model.wiring", "model.num_layers")
    assert fields.listed("", "facet") == ()
    with pytest.raises(
        UserError, match=r"group_by 'width': model\.width is 64 in every cell; .* varies: model\.wiring"
    ):
        fields.listed("width", "group_by")


def test_all_mistakes_come_at_once_with_what_was_meant(fields):
    with pytest.raises(UserError) as error:
        fields.where("wirng=pre,wiring=rezer,depht=3,width=65,lr=2,norm")
    assert error.value.problems == [
        "where 'wirng': no such field; did you mean wiring?",
        "where model.wiring = 'rezer': expected one of post, pre, sandwich, deepnorm, rezero; did you mean rezero?",
        "where 'depht': no such field; did you mean depth?",
        "where model.width = '65': every cell has 64",
        "where optim.learning_rate = '2,norm': expected one of 1e-3, 3e-3",
    ]
    with pytest.raises(UserError, match="expected field=value"):
        fields.where("norm")
    with pytest.raises(UserError, match=r"twice; write model\.wiring=value\|value"):
        fields.where("wiring=pre,model.wiring=post")


def test_fields_of_two_sweeps_are_those_of_both(sweep):
    other = manifest({"model.num_layers": [8, 24], "model.norm.kind": ["rmsnorm", "dyt"]}), sweep[1]
    both = Fields.of(sweep, other)
    assert both.values["model.num_layers"] == [6, 8, 12, 24]
    assert both.values["model.norm.kind"] == ["layernorm", "rmsnorm", "dyt"]
    wider = sweep[0], sweep[1].assign(**{"model.width": 128})
    assert Fields.of(sweep, wider).listed("width", "group_by") == ("model.width",)


def test_together_gives_everything_or_every_problem():
    def wrong(*problems):
        raise UserError(problems)

    assert together(lambda: 1, lambda: 2) == [1, 2]
    with pytest.raises(UserError) as error:
        together(lambda: 1, lambda: wrong("a", "b"), lambda: wrong("b", "c"))
    assert error.value.problems == ["a", "b", "c"]
