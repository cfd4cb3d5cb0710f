"""What is on disk: whole or absent, readable by anybody, in the order that makes a result a result."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from experiments import records
from flax_tx.errors import UserError
from tests.experiments import synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder)
    return folder


def test_json_has_a_schema_and_no_nan(tmp_path):
    path = tmp_path / "new" / "a.json"
    records.write_json(path, {"x": [np.float32("nan"), np.inf, 1.5], "n": np.int64(3), "t": (1, 2), "é": np.arange(2)})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {
        **{"schema": records.SCHEMA, "x": [None, None, 1.5], "n": 3, "t": [1, 2], "é": [0, 1]}
    }
    assert records.read_json(path)["é"] == [0, 1] and "é" in text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    records.write_json(path, {"x": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            records.write_json(path, {"x": 2})
    assert records.read_json(path)["x"] == 1
    assert os.listdir(tmp_path) == ["a.json"]  # noqa: PTH208


def test_files_are_readable_by_the_group_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        records.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("content", [b'{"schema": 1, "x"', b"\xff\xfe", b"[1]", b'{"schema": 99}'])
def test_a_torn_or_foreign_file_is_one_line_that_names_it(tmp_path, content):
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        records.read_json(tmp_path / "status.json")
    assert len(error.value.problems) == 1 and "status.json" in str(error.value) and "\n" not in str(error.value)


def test_parquet_keeps_what_is_not_finite(tmp_path):
    columns = {"step": np.arange(3), "train_loss": np.array([1.0, np.nan, np.inf], np.float32)}
    records.write_parquet(tmp_path / "m.parquet", columns)
    read = pd.read_parquet(tmp_path / "m.parquet")
    np.testing.assert_array_equal(read.train_loss.to_numpy(), columns["train_loss"])
    assert read.train_loss.dtype == np.float32


def test_status_is_written_last_and_an_old_one_goes_first(tmp_path, monkeypatch):
    status = {"status": "failed", "reason": "out of memory", "finished": "now", "seconds": 1.0}
    records.write_result(tmp_path, "c", None, None, None, status, error="Traceback")
    order, write = [], records.write_bytes

    def spy(path, content):
        assert not (tmp_path / "cells/c/status.json").exists() and not (tmp_path / "cells/c/error.txt").exists()
        order.append(path.name)
        write(path, content)

    monkeypatch.setattr(records, "write_bytes", spy)
    records.write_result(tmp_path, "c", {"step": [0]}, {"step": [0]}, {"val_loss": 1.0}, status | {"status": "done"})
    assert sorted(order[:-1]) == ["layers.parquet", "metrics.parquet", "summary.json"] and order[-1] == "status.json"


def test_an_unknown_status_is_refused_before_anything_is_touched(tmp_path):
    with pytest.raises(ValueError, match="expected one of done, stuck, diverged, failed"):
        records.write_result(tmp_path, "c", None, None, None, {"status": "ok"})
    assert not list(tmp_path.iterdir())


def test_load_has_a_row_per_planned_cell_with_config_status_and_summary(workdir):
    frame, manifest = records.load(workdir), records.sweep(workdir)
    assert list(frame.index) == manifest["cells"] and frame.index.name == "cell"
    assert {"model.norm.kind", "optim.learning_rate", "seed.init", "model.slots.final"} <= set(frame.columns)
    counts = frame.status.value_counts().to_dict()
    assert counts == {"done": 98, "stuck": 10, "diverged": 8, "failed": 2, "missing": 2}
    assert frame[list(records.NUMBERS)].dtypes.eq(float).all()  # also where every value is null
    assert frame.val_loss[frame.status == "stuck"].notna().all()
    assert frame.val_loss[frame.status.isin(["failed", "missing", "diverged"])].isna().all()
    assert frame.reason[frame.status == "failed"].str.contains("RESOURCE_EXHAUSTED").all()
    missing = set(frame.index[frame.status == "missing"])
    assert records.finished(workdir, frame.index) == set(frame.index) - missing


def test_cells_of_another_sweep_are_loaded_only_when_asked_for(tmp_path):
    manifest = synthetic.write(tmp_path, wirings=("post",), norms=("layernorm",), depths=(6,))
    overrides = {
        "model.wiring": "pre",
        "model.num_layers": 6,
        "optim.learning_rate": 1e-3,
        "seed.init": 9,
        "seed.data": 9,
    }
    records.write_cell_config(tmp_path, "other", synthetic.config_of(overrides))
    assert "other" not in records.load(tmp_path).index
    everything = records.load(tmp_path, all_cells=True)
    assert list(everything.index) == [*manifest["cells"], "other"]
    assert everything.loc["other", "model.wiring"] == "pre" and everything.loc["other", "status"] == "missing"


def test_two_workdirs_of_one_sweep_merge_by_copying(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, own in ((one, 0), (two, 1)):
        end_of = lambda overrides, own=own: "done" if overrides["seed.init"] == own else "missing"  # noqa: E731
        synthetic.write(folder, wirings=("pre",), depths=(6,), end_of=end_of)
    for path in (two / "cells").glob("*/*"):
        path.replace(one / path.relative_to(two))
    assert (records.load(one).status == "done").all()


def test_curves_carry_their_cell_and_only_of_cells_with_a_result(workdir):
    frame = records.load(workdir)
    metrics, layers = records.load_metrics(workdir), records.load_layers(workdir)
    having = set(frame.index[frame.status.isin(["done", "stuck", "diverged"])])
    assert set(metrics.cell) == having == set(layers.cell)
    assert list(metrics.columns) == ["cell", "step", "train_loss", "grad_norm", "learning_rate"]
    assert (metrics.groupby("cell").size() == 60).all()
    some = list(having)[:2]
    assert set(records.load_metrics(workdir, some).cell) == set(some)
    assert records.load_metrics(workdir, []).empty


def test_curves_without_a_status_are_of_a_cell_that_is_not_finished(tmp_path):
    cell = synthetic.write(tmp_path, wirings=("pre",), norms=("layernorm",), depths=(6,))["cells"][0]
    (records.cell_dir(tmp_path, cell) / "status.json").unlink()
    assert cell not in set(records.load_metrics(tmp_path).cell)
    assert records.load(tmp_path).loc[cell, "status"] == "missing" and np.isnan(records.load(tmp_path).val_loss[cell])


def test_segments_and_nested_values_become_keys():
    flat = records.flatten({"model": {"segments": [{"num_layers": 2, "norm.kind": "rmsnorm"}], "width": 8}})
    assert flat == {"model.segments": ((("norm.kind", "rmsnorm"), ("num_layers", 2)),), "model.width": 8}
    hash(tuple(flat.values()))


def test_a_wrong_workdir_is_one_line_with_the_nearest_mend(tmp_path, workdir):
    for wrong, expected in (
        (workdir.with_name("depht"), f"did you mean {workdir}?"),
        (workdir.parent, f"did you mean {workdir}?"),
        (tmp_path, "expected a folder with sweep.json"),
    ):
        with pytest.raises(UserError) as error:
            records.sweep(wrong)
        assert len(error.value.problems) == 1 and expected in str(error.value)
