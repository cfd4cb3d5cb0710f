"""What is on disk: whole or absent, readable by anybody, in the order that makes a result a result."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from experiments import files, records
from flax_tx.config import name_of
from flax_tx.errors import UserError
from tests.experiments import synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder)
    return folder


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


def test_a_config_that_was_recorded_before_a_knob_came_late_is_read_with_its_default(tmp_path):
    recorded = synthetic.config_of({"model.width": 32})
    cell = name_of(recorded)
    del recorded["mesh"], recorded["model"]["remat"]
    records.write_cell_config(tmp_path, cell, recorded)
    assert records.read_config(tmp_path, cell) == records.plain(synthetic.config_of({"model.width": 32}))


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


def small(folder, **kwargs):
    """A sweep of four cells that are done."""
    arguments = {"wirings": ("pre",), "norms": ("layernorm",), "depths": (6,), "end_of": lambda overrides: "done"}
    return synthetic.write(folder, **arguments | kwargs)["cells"]


def flip(path, place=None):
    """Changes a bit of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "status.json", "summary.json", "metrics.parquet", "layers.parquet"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_file_is_named_and_the_rest_stays_readable(tmp_path, name, harm):
    cells = small(tmp_path)
    before, path = records.load(tmp_path), records.cell_dir(tmp_path, cells[1]) / name
    {"flip": flip, "truncate": lambda path: path.write_bytes(b""), "remove": lambda path: path.unlink()}[harm](path)
    frame = records.load(tmp_path)
    gone = (name, harm) == ("status.json", "remove")  # then there is no result at all
    assert frame.status.to_dict() == dict.fromkeys(cells, "done") | {cells[1]: "missing" if gone else "damaged"}
    assert gone or str(path) in frame.reason[cells[1]]
    fields = [column for column in before if "." in column]
    pd.testing.assert_frame_equal(frame[fields], before[fields])  # also of a config that is lost
    others = [cell for cell in cells if cell != cells[1]]
    assert frame.val_loss[others].equals(before.val_loss[others]) and np.isnan(frame.val_loss[cells[1]])
    ends = {cell: records.outcome(tmp_path, cell) for cell in cells}
    assert (ends[cells[1]]["status"] == "damaged") is (not gone and name != "config.json")
    if name != "config.json":
        path.unlink(missing_ok=True)  # what was read before is not read again
        pd.testing.assert_frame_equal(records.load(tmp_path, ends=ends), frame)


@pytest.mark.parametrize("name", ["metrics.parquet", "layers.parquet", "summary.json"])
def test_curves_of_a_damaged_cell_are_left_out_and_said(tmp_path, caplog, name):
    cells = small(tmp_path)
    flip(records.cell_dir(tmp_path, cells[1]) / name)
    assert set(records.load_metrics(tmp_path).cell) == set(cells) - {cells[1]}
    assert f"{cells[1]}/{name}: damaged" in caplog.text and "--retry=damaged" in caplog.text


def test_a_file_that_the_result_does_not_name_is_not_read(tmp_path):
    cells = small(tmp_path)
    columns = {"quantity": ["loss"], "index": [0], "head": [0], "value": [1.0]}
    records.write_parquet(records.cell_dir(tmp_path, cells[0]) / "probes.parquet", columns)
    assert records.load_probes(tmp_path).empty
    synthetic.add_probes(tmp_path, cells[0], columns)
    assert len(records.load_probes(tmp_path)) == 1


def test_half_of_a_copy_over_another_result_is_not_believed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    cells = small(one)
    small(two, steps=60, end_of=lambda overrides: "stuck")
    name = "metrics.parquet"
    shutil.copy(records.cell_dir(two, cells[0]) / name, records.cell_dir(one, cells[0]) / name)
    assert records.load(one).status[cells[0]] == "damaged"


def as_schema_1(folder):
    """Makes of every file what the first version would have written."""
    for path in folder.rglob("*.json"):
        content = records.read_json(path) | {"schema": 1}
        content.pop("files", None)
        path.write_text(json.dumps(content, indent=1) + "\n")


def test_records_of_the_first_schema_stay_readable(tmp_path):
    cells = small(tmp_path)
    before = records.load(tmp_path), records.load_metrics(tmp_path)
    as_schema_1(tmp_path)
    assert records.load(tmp_path).equals(before[0]) and records.load_metrics(tmp_path).equals(before[1])
    path = records.cell_dir(tmp_path, cells[0]) / "config.json"
    path.write_text(path.read_text().replace('"num_layers": 6', '"num_layers": 7'))
    assert records.load(tmp_path).status[cells[0]] == "damaged"  # the id is a hash of the config


FOREIGN = {
    "sweep.json": [("name", None), ("axes", []), ("cells", {}), ("cells", ["../../etc"]), ("cells", ["a\0b"]),
                   ("programs", {"p": ["/etc"]}), ("programs", []), ("data", {"kjv": []}), ("provenance", {}),
                   ("provenance", {"created": "now", "git": {}, "python": "3.12.1", "platform": "Linux"}),
                   ("table", 3), ("claims", {}), ("arms", {"../x": "a"}), ("points", {"c": 1}), ("question", 1)],
    "status.json": [("status", "ok"), ("step", "7"), ("seconds", "long"), ("reason", 3), ("files", [])],
    "summary.json": [("val_loss", "low"), ("params", []), ("device", 3), ("val_loss", True)],
    "config.json": [("id", 3), ("config", [])],
}  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [(name, one) for name, many in FOREIGN.items() for one in many])
def test_a_record_of_another_structure_is_a_line(tmp_path, name, change):
    cell = small(tmp_path)[0]
    path = tmp_path / name if name == "sweep.json" else records.cell_dir(tmp_path, cell) / name
    content = records.read_json(path) | dict([change])
    written = files.json_bytes(content)
    path.write_bytes(written)
    if name == "summary.json":  # and its status proves it
        status = records.read_json(path.with_name("status.json"))
        status["files"][name] = files.digest(written)
        records.write_json(path.with_name("status.json"), status)
    if name == "sweep.json":
        with pytest.raises(records.RecordError, match=r"sweep\.json: .*expected|is absent"):
            records.load(tmp_path)
    else:
        frame = records.load(tmp_path)
        assert frame.status[cell] == "damaged" and str(path) in frame.reason[cell]


@pytest.mark.parametrize("cell", ["../x", "/etc", "a/b", "..", "", "a\0", "-x", "x" * 65, "ü", "a\n"])
def test_what_is_no_id_leads_nowhere(tmp_path, cell):
    for reach in (records.cell_dir, records.status_of, records.read_config):
        with pytest.raises(UserError, match="expected an id"):
            reach(tmp_path, cell)


def test_a_vanished_workdir_is_a_line_and_is_not_made_again(tmp_path):
    status = {"status": "done", "finished": "now", "seconds": 1.0}
    with pytest.raises(FileNotFoundError, match="gone"):
        records.write_result(tmp_path / "gone", "c", None, None, None, status)
    assert not list(tmp_path.iterdir())
