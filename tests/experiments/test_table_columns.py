"""Quantities as columns, tables of a part of the cells, several tables of one sweep, and what to doubt of them."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from experiments import records, table, view
from experiments.column import Column
from experiments.statistics import holm
from experiments.tables.arms import Place, assemble, tables_of
from experiments.tables.caption import caption
from experiments.tables.lint import CHECKS
from experiments.tables.tidy import tidy
from flax_tx.errors import UserError
from tests.experiments import published, synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "updates"
    published.write(folder)
    return folder


def as_if(monkeypatch, change):
    """Reads the records as if `change` had been made to their frame."""
    load = records.load
    monkeypatch.setattr(records, "load", lambda workdir: change(load(workdir)))


def arm(report, wiring, column):
    return report.arms[Place((), (wiring,), (column,))]


def test_a_column_is_a_number_per_seed_of_one_cell_or_of_the_cells_along_a_field(workdir):
    report = assemble(workdir, spec=published.UPDATES)
    slopes = arm(report, "post", "slope")
    assert list(slopes.values.values()) == pytest.approx([2 + 0.01 * seed for seed in range(5)])
    assert all(len(trial.cells) == 2 for trial in slopes.trials.values())
    deep = [12 ** (1 + 0.01 * seed) for seed in range(5)]
    assert arm(report, "rezero", "deep").estimate.mean == pytest.approx(np.mean(deep))
    assert [place.column[0] for place in report.arms][:5] == ["slope", "deep", "loss", "early", "size"]


def test_every_column_is_shown_at_the_choice_that_the_metric_of_the_table_makes(workdir, monkeypatch):
    good = lambda frame: (frame["optim.learning_rate"] == 2e-3) == (frame["model.wiring"] == "post")  # noqa: E731
    as_if(monkeypatch, lambda frame: frame.assign(val_loss=2.0 - good(frame)))
    report, rates = assemble(workdir, spec=published.UPDATES), records.load(workdir)["optim.learning_rate"]
    for place, one in report.arms.items():
        chosen = 2e-3 if place.row == ("post",) else 1e-3
        assert one.choice.value == (chosen,)
        assert {rates[cell] for trial in one.trials.values() for cell in trial.cells} == {chosen}
    assert len(report.judged) == 4


def test_holm_counts_the_comparisons_of_all_columns_that_have_a_direction(workdir):
    data = tidy(assemble(workdir, spec=published.UPDATES)).set_index(["column", "model.wiring"])
    compared = data.dropna(subset="p")
    assert set(compared.index.get_level_values("column")) == {"loss", "early"} and len(compared) == 6
    assert compared.p_holm.tolist() == pytest.approx(holm(compared.p.tolist()))
    assert data.loc[("loss", "deepnorm"), "verdict"] == "worse" and set(data.metric) >= {"update_sgd", "params"}


def test_a_seed_with_a_bad_cell_along_the_field_has_no_number(workdir, monkeypatch):
    bad = {"model.wiring": "post", "model.num_layers": 12, "seed.init": 0}
    stuck = lambda frame: (frame[list(bad)] == list(bad.values())).all(axis=1)  # noqa: E731
    as_if(monkeypatch, lambda frame: frame.assign(status=frame.status.where(~stuck(frame), "stuck")))
    columns = (
        Column("val_loss", "worst", over="model.num_layers", fit="worst"),
        Column("val_loss", "6", at={"model.num_layers": 6}),
        Column("update_sgd", "before", over="model.num_layers", fit="slope"),
        Column("steps_to_target", "none", at={"model.num_layers": 6}),
    )
    report = assemble(workdir, spec=dataclasses.replace(published.UPDATES, columns_of=columns, theory={}))
    assert arm(report, "post", "worst").counts == {"stuck": 1, "done": 4} and arm(report, "post", "6").bad == 0
    assert arm(report, "post", "before").bad == 0  # measured before training
    assert arm(report, "post", "worst").comparison is None and arm(report, "deepnorm", "worst").comparison
    assert arm(report, "pre", "none").counts["no number"] + len(arm(report, "pre", "none").values) == 5


def test_only_keeps_the_cells_with_these_values_and_says_so(workdir):
    report = assemble(workdir, spec=published.SAME)
    assert set(report.frame["optim.learning_rate"]) == {1e-3} and len(report.frame) == 40
    said = dict(caption(report))
    assert said["Only"].startswith("learning_rate=1e-3") and said["Cells"].startswith("40 planned of the sweep's 80")
    assert "Best" not in said and "learning_rate" not in said["Held fixed"]
    gone = dataclasses.replace(published.SAME, only={"model.width": 7})
    with pytest.raises(UserError, match=r"no cell of .* has width=7"):
        assemble(workdir, spec=gone)


def test_all_tables_are_printed_or_the_one_of_a_number_or_title(workdir):
    titles = ["Which wiring?", "One rate for all", "Updates"]
    every = table.render(workdir, "md")
    assert [every.count(f"**{title}**") for title in titles] == [1, 1, 1] and every.count("- Made by:") == 1
    assert every.index("**Updates**") > every.index("**One rate") > every.index("**Which")
    for wanted in ("2", "one RATE"):
        one = table.render(workdir, "md", table=wanted)
        assert "**One rate" in one and "**Which" not in one and "--table=" in one
    with pytest.raises(UserError) as error:
        table.render(workdir, "md", table="4")
    assert error.value.problems == [
        "--table = '4': expected a number or part of one title: 1 'Which wiring?', 2 'One rate for all', 3 'Updates'"
    ]
    frame = pd.read_csv(io.StringIO(table.render(workdir, "csv")))
    assert frame.groupby("table").size().to_dict() == {"Which wiring?": 8, "One rate for all": 8, "Updates": 20}


def test_a_manifest_with_one_table_has_one(tmp_path):
    manifest = synthetic.write(tmp_path, seeds=(0,), rates=(1e-3,))
    assert tables_of(manifest) == [synthetic.TABLE] and tables_of(manifest | {"tables": []}) == [synthetic.TABLE]


def test_a_metric_does_not_replace_quantities(workdir):
    with pytest.raises(UserError, match="'Updates' shows its own quantities"):
        table.render(workdir, metric="test_loss")
    assert "test_loss" in table.render(workdir, metric="test_loss", table="1")


def test_loss_curves_are_drawn_of_a_sweep_whose_main_table_shows_quantities(workdir, monkeypatch):
    manifest = records.sweep(workdir) | {"tables": [published.UPDATES.to_json()]}
    monkeypatch.setattr(records, "sweep", lambda workdir: manifest)
    (report,) = view.select([workdir], "num_layers=12").reports.values()
    assert len(report.arms) == 4 and all(len(one.trials) == 5 for one in report.arms.values())


def test_arms_of_other_sizes_are_doubted_and_a_clean_table_says_what_was_checked(workdir, monkeypatch):
    quantities = dataclasses.replace(published.UPDATES, nuisance=(), only=published.SAME.only)
    sizes = {"post": 1010}
    as_if(monkeypatch, lambda frame: frame.assign(params=[sizes.get(w, 1000.0) for w in frame["model.wiring"]]))
    for spec in (published.SAME, quantities):
        lines = caption(assemble(workdir, spec=spec))
        assert ("Checks", f"passed: {', '.join(CHECKS)}") in lines and "Check" not in dict(lines)
    sizes |= {"post": 1100, "rezero": 900}
    for spec, count in ((published.SAME, "4 of 6"), (quantities, "2 of 3")):
        (doubt,) = [text for label, text in caption(assemble(workdir, spec=spec)) if label == "Check"]
        assert doubt == f"parameters differ from the baseline's by over 2 % in {count} arms: -10 to +10 %"
