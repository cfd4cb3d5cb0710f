"""A table as data: it survives JSON, manifests of before are read, and every mistake is a line of its own."""

import dataclasses
import json

import pytest

from experiments.column import Column
from experiments.table_spec import Table, problems
from tests.experiments import published, synthetic

AXES = {
    "model.wiring": ["post", "pre", "deepnorm", "rezero"],
    "model.num_layers": [6, 12],
    "optim.learning_rate": [1e-3, 2e-3],
    "seed.init": [0, 1],
    "seed.data": [0, 1],
}


@pytest.mark.parametrize("spec", [published.MAIN, published.SAME, published.UPDATES], ids=lambda spec: spec.title)
def test_a_table_survives_json_and_has_no_problems(spec):
    again = Table.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec and problems(again, AXES) == []
    assert all(type(mine) is type(theirs) for mine, theirs in zip(again.labels, spec.labels, strict=True))


def test_a_manifest_of_before_has_a_table():
    old = {name: getattr(synthetic.TABLE, name) for name in ("rows", "columns", "metric", "nuisance", "seeds", "title")}
    old |= {"lower_is_better": True, "baseline": {"model.wiring": "post"}, "split": []}
    assert Table.from_json(json.loads(json.dumps(old))) == synthetic.TABLE


def changed(**changes):
    return dataclasses.replace(published.MAIN, **changes)


def with_column(*fields, **named):
    return dataclasses.replace(published.UPDATES, columns_of=(Column(*fields, **named),), theory={})


def paper(**changes):
    return changed(paper=dataclasses.replace(published.PAPER, **changes))


OVER = {"over": "model.num_layers", "fit": "slope"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (changed(only={"optim.learning_rat": 1e-3}), "table.only = 'optim.learning_rat': no such field; did you mean"),
        (changed(only={"optim.learning_rate": 3e-3}), "only optim.learning_rate = 0.003: expected one of 0.001, 0.002"),
        (changed(groups={"post": "a", "pre": "b", "rezero": "c"}), "model.wiring = 'deepnorm' has no family"),
        (
            changed(groups=published.MAIN.groups | {"pots": "a"}),
            "table.groups: 'pots': no such row; did you mean post?",
        ),
        (changed(labels=published.MAIN.labels | {6: 6}), "table.labels 6 = 6: expected a text"),
        (changed(theory={"6L": {"pots": 0}}), "table.theory '6L': 'pots': no such row; did you mean post?"),
        (
            dataclasses.replace(published.UPDATES, theory={"slop": {}}),
            "'slop': expected the title of a column; did you",
        ),
        (
            changed(columns_of=(Column("params"),), theory={}),
            "table.columns = ('model.num_layers',): expected none beside",
        ),
        (with_column("val_los", "x", **OVER), "'x': metric 'val_los': no such metric; did you mean val_loss?"),
        (with_column("val_loss", "x", **(OVER | {"fit": "slop"})), "fit 'slop': expected one of slope"),
        (
            with_column("val_loss", "x", at={"model.num_layers": 6}, fit="slope"),
            "over '' and fit 'slope': expected both",
        ),
        (with_column("val_loss", "x", at={"model.num_layers": 7}), "at model.num_layers = 7: expected one of 6, 12"),
        (with_column("val_loss", "x"), "axis 'model.num_layers' has no role"),
        (changed(columns=(), columns_of=(Column("params", **OVER), Column("params", "x")), theory={}), "'x': axis"),
        (
            with_column("val_loss", "x", at={"model.wiring": "pre"}, **OVER),
            "'model.wiring': expected a field in one role",
        ),
        (with_column("val_loss", "x", at={"model.width": 64, "modle": 1}, **OVER), "'modle': no such field"),
        (with_column("val_loss", "x", **OVER, format=".2z"), "format '.2z': expected a format of numbers"),
        (paper(rows={"pots": ("1", "2", "3")}), "table.paper.rows: 'pots': no such row; did you mean post?"),
        (paper(rows={"post": ("1", "2")}), "table.paper row 'post': expected 3 texts, one per column"),
        (paper(extra_rows=(("A", "", ("1",)),)), "table.paper row 'A': expected 3 texts"),
        (paper(rows={"post": ("1", "2 [X]", "3")}), "mark [X] of '2 [X]': expected one of ?, [M], [V2]"),
        (paper(rows={"post": ("1", 2.0, "3")}), "table.paper row 'post': 2.0: expected a text"),
    ],
)
def test_every_mistake_is_one_line(spec, expected):
    found = problems(spec, AXES)
    assert len(found) == 1 and expected in found[0]


def test_a_slope_needs_numbers_along_its_field_and_two_columns_need_two_titles():
    column = Column("val_loss", "x", over="model.wiring", fit="slope")
    spec = Table(rows=("model.num_layers",), seeds=("seed.init", "seed.data"), columns_of=(column, column))
    found = problems(spec, {name: AXES[name] for name in AXES if name != "optim.learning_rate"})
    assert found[0] == "table.columns_of 'x': fit 'slope': expected numbers along model.wiring, got 'post'"
    assert "two columns have this one" in found[-1]
    worst = dataclasses.replace(spec, columns_of=(dataclasses.replace(column, fit="worst"),))
    assert problems(worst, {name: AXES[name] for name in AXES if name != "optim.learning_rate"}) == []


def test_rows_of_another_size_of_the_sweep_are_no_mistake():
    assert problems(published.MAIN, AXES | {"model.wiring": ["post", "pre"]}) == []
