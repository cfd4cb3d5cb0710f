"""What other tools read back from an export is what the records hold; an export is whole, and the same every time."""

import builtins
import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from experiments import export, records
from experiments.exports import runs
from experiments.exports.frames import frames
from flax_tx.errors import UserError
from tests.experiments import published, synthetic

NAMES = ("cells", "metrics", "layers", "probes")
TAGS = {"train_loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Every way in which a cell can end, an infinite gradient, and probes with and without heads."""
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder, norms=("layernorm", "rmsnorm"), depths=(6, 24), rates=(3e-3,), steps=30)
    for cell in records.finished(folder, records.sweep(folder)["cells"]):
        curves, layers = (records.read_table(folder, cell, f"{name}.parquet") for name in ("metrics", "layers"))
        if curves is not None:
            curves.loc[3, "grad_norm"] = np.inf
            found = {"quantity": ["loss", "entropy", "entropy"], "index": [0, 4, 4], "head": [0, 1, 2]}
            probes, kinds = found | {"value": [0.1, np.nan, 3e-9]}, records.COLUMNS["metrics.parquet"]
            status = {name: records.status_of(folder, cell)[name] for name in ("status", "step", "reason", "finished")}
            summary = records.read_json(records.cell_dir(folder, cell) / "summary.json")
            metrics = {name: curves[name].astype(kind) for name, kind in kinds.items()}
            records.write_result(folder, cell, metrics, layers, summary, {**status, "seconds": 12.0}, probes=probes)
    return folder


@pytest.fixture(scope="module")
def boards(workdir, tmp_path_factory):
    """Run name -> what TensorBoard reads."""
    folder = export.export(workdir, "tensorboard", tmp_path_factory.mktemp("boards") / "out")
    found = {path.name: EventAccumulator(str(path), {"scalars": 0, "tensors": 0}) for path in folder.glob("*/")}
    return {name: board.Reload() for name, board in found.items()}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def full(path, obj):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def points(board, tag):
    return {event.step: event.value for event in board.Scalars(tag)}


def same(found, expected):
    """Whether every step has its number, as float32 holds it."""
    assert list(found) == list(expected)
    np.testing.assert_array_equal(list(found.values()), np.asarray(list(expected.values()), np.float32))


def cell_of(name):
    return name.rpartition(",")[2]


def test_every_number_of_the_records_is_a_point_in_tensorboard_and_there_are_no_others(workdir, boards):
    frame = records.load(workdir)
    assert {cell_of(name) for name in boards} == set(frame.index[frame.status != "missing"])
    assert {"done", "stuck", "diverged", "failed"} == set(frame.status[[cell_of(name) for name in boards]])
    for name, board in boards.items():
        cell, tags = cell_of(name), set()
        curves, layers = (load(workdir, [cell]) for load in (records.load_metrics, records.load_layers))
        for column, tag in TAGS.items() if len(curves) else ():
            same(points(board, tag), dict(zip(curves.step, curves[column], strict=True)))
            tags.add(tag)
        for layer, found in layers.groupby("layer"):
            same(points(board, f"layers/stream_rms/{layer}"), dict(zip(found.step, found.stream_rms, strict=True)))
            tags.add(f"layers/stream_rms/{layer}")
        for column in ("val_loss", "test_loss", "final_train_loss"):
            if not math.isnan(frame[column][cell]):
                same(points(board, f"final/{column}"), {curves.step.max(): frame[column][cell]})
                tags.add(f"final/{column}")
        if len(curves):
            same(points(board, "probes/loss"), {0: 0.1})
            same(points(board, "probes/entropy/head_2"), {4: 3e-9})
            assert math.isnan(points(board, "probes/entropy/head_1")[4])
            tags |= {"probes/loss", "probes/entropy/head_1", "probes/entropy/head_2"}
        assert set(board.Tags()["scalars"]) == tags
    assert any(math.isnan(value) for board in boards.values() for value in points_or(board, "train/loss"))
    assert any(value == math.inf for board in boards.values() for value in points_or(board, "train/grad_norm"))


def points_or(board, tag):
    return points(board, tag).values() if tag in board.Tags()["scalars"] else ()


def plugin_data(board, tag, parse):
    return parse(board.SummaryMetadata(tag).plugin_data.content)


def test_the_hparams_of_a_run_are_its_axes_and_status_and_the_columns_are_those_of_the_whole_sweep(workdir, boards):
    frame = records.load(workdir)
    values = {"wiring": set(synthetic.WIRINGS), "norm.kind": {"layernorm", "rmsnorm"}, "num_layers": {6, 24}}
    values |= {"seed.init": {0, 1}, "seed.data": {0, 1}, "status": set(frame.status) - {"missing"}}
    for name, board in boards.items():
        row = frame.loc[cell_of(name)]
        experiment = plugin_data(board, metadata.EXPERIMENT_TAG, metadata.parse_experiment_plugin_data)
        assert {info.name: set(info.domain_discrete) for info in experiment.hparam_infos} == values
        numbers = {info.name for info in experiment.hparam_infos if info.type == api_pb2.DATA_TYPE_FLOAT64}
        assert numbers == {"num_layers", "seed.init", "seed.data"}
        assert [metric.name.tag for metric in experiment.metric_infos][:2] == ["final/val_loss", "final/test_loss"]
        start = plugin_data(board, metadata.SESSION_START_INFO_TAG, metadata.parse_session_start_info_plugin_data)
        shown = {key: value.string_value or value.number_value for key, value in start.hparams.items()}
        fields = {"wiring": "model.wiring", "norm.kind": "model.norm.kind", "num_layers": "model.num_layers"}
        assert shown == {key: row[fields.get(key, key)] for key in values}
        end = plugin_data(board, metadata.SESSION_END_INFO_TAG, metadata.parse_session_end_info_plugin_data)
        assert end.status == (api_pb2.STATUS_FAILURE if row.status == "failed" else api_pb2.STATUS_SUCCESS)
        assert end.end_time_secs - start.start_time_secs == row.seconds


def test_a_run_shows_its_status_with_the_reason_and_its_config_verbatim(workdir, boards):
    frame = records.load(workdir)
    for name, board in boards.items():
        said = [board.Tensors(f"cell/{tag}/text_summary")[0].tensor_proto.string_val[0] for tag in ("status", "config")]
        status, config = (value.decode() for value in said)
        assert status.startswith(f"    {frame.status[cell_of(name)]}")
        assert ("RESOURCE_EXHAUSTED [red]x[/red]" in status) == (frame.status[cell_of(name)] == "failed")
        assert all(line.startswith("    ") for line in config.splitlines())
        assert json.loads(config)["model"]["wiring"] == frame["model.wiring"][cell_of(name)]


def test_the_time_of_every_point_is_when_its_cell_ended(workdir, boards):
    finished = records.load(workdir).finished
    for name, board in boards.items():
        times = {event.wall_time for tag in board.Tags()["scalars"] for event in board.Scalars(tag)}
        assert times <= {pd.Timestamp(finished[cell_of(name)]).timestamp()}


@pytest.mark.parametrize("to", export.FORMATS)
def test_exporting_twice_gives_the_same_files_and_no_second_points(workdir, tmp_path, to):
    out = export.export(workdir, to, tmp_path / "out")
    before = contents(out)
    assert export.export(workdir, to, out) == out and contents(out) == before
    assert contents(export.export(workdir, to, tmp_path / "other")) == before
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("to", export.FORMATS)
def test_an_export_that_fails_leaves_the_one_before(workdir, tmp_path, to, monkeypatch):
    out = export.export(workdir, to, tmp_path / "out")
    before = contents(out)
    monkeypatch.setattr(records, "write_json", full)  # of what is written last
    for where in (out, tmp_path / "new"):
        with pytest.raises(UserError, match="cannot write there"):
            export.export(workdir, to, where)
    assert contents(out) == before and list(tmp_path.iterdir()) == [out]


def test_pandas_reads_the_same_frames_back_from_parquet_with_their_types(workdir, tmp_path):
    out, expected = export.export(workdir, "parquet", tmp_path / "out"), frames(workdir)
    for name, frame in expected.items():
        assert_frame_equal(pd.read_parquet(out / f"{name}.parquet"), frame, check_exact=True)
    cells = expected["cells"].set_index("cell")
    loaded = records.load(workdir)
    assert list(cells) == list(loaded)
    for name in loaded:
        for one, other in zip(cells[name], loaded[name], strict=True):
            absent = other is None or other != other
            assert pd.isna(one) if absent else one == (json.dumps(other) if isinstance(other, tuple) else other), name
    kinds = {"model.norm.scale": "boolean", "model.head_dim": "Int64", "model.gains.skip": "float64", "step": "Int64"}
    assert {name: str(cells[name].dtype) for name in kinds} == kinds
    for name, load in zip(NAMES[1:], (records.load_metrics, records.load_layers, records.load_probes), strict=True):
        assert_frame_equal(expected[name], load(workdir), check_exact=True)


def test_pandas_reads_the_same_frames_back_from_csv_with_the_types_that_it_names(workdir, tmp_path):
    out, expected = export.export(workdir, "csv", tmp_path / "out"), frames(workdir)
    columns = pd.read_csv(out / "columns.csv", keep_default_na=False)
    for name in NAMES:
        of_file = columns[columns.file == name].set_index("column")
        read = pd.read_csv(out / f"{name}.csv", dtype=of_file.type.to_dict())
        assert_frame_equal(read, expected[name], check_exact=True)
        assert (of_file.meaning != "").all(), of_file[of_file.meaning == ""]
    losses = pd.read_csv(out / "metrics.csv", dtype=str, keep_default_na=False)
    assert "NaN" in set(losses.train_loss) and "inf" in set(losses.grad_norm) and "" not in set(losses.train_loss)
    text = pd.read_csv(out / "cells.csv", dtype=str, keep_default_na=False)
    assert set(text["model.norm.scale"]) == {""} and "NaN" not in set(text.val_loss)


def test_a_sweep_of_which_nothing_ran_is_exported_with_the_columns_that_are_known(tmp_path):
    synthetic.write(tmp_path / "run", depths=(6,), seeds=(0,), end_of=lambda overrides: "missing")
    for to in export.FORMATS:
        out = export.export(tmp_path / "run", to)
        assert out == (tmp_path / "run" / "export" / to).resolve()
    read = pd.read_csv(tmp_path / "run" / "export" / "csv" / "cells.csv")
    assert set(read.status) == {"missing"} and len(read) == 20
    assert list(pd.read_csv(tmp_path / "run" / "export" / "csv" / "probes.csv")) == list(
        records.load_probes(tmp_path / "run")
    )
    assert [path.name for path in (tmp_path / "run" / "export" / "tensorboard").iterdir()] == [export.MARK]


HOSTILE = ("../../up", "a/b\\c", "\x1b[31m", "x" * 500, "CON", ".", "", "é深", "a=1, b=2", "\u202eevil", "new\nline")


def test_names_of_runs_are_paths_whatever_the_values_are():
    cells = [f"{i:012x}" for i in range(len(HOSTILE))]
    frame = pd.DataFrame({"arm": HOSTILE, "model.num_layers": 6, "status": "done"}, index=cells)
    found = runs.runs({"axes": {"arm": list(HOSTILE), "model.num_layers": [6]}}, frame)
    assert [run.axes for run in found] == [{"arm": arm, "status": "done"} for arm in HOSTILE]
    names = [run.name for run in found]
    assert len(set(names)) == len(names) and all(len(name) < 200 for name in names)
    assert all(
        name.isascii() and name.startswith("arm=") and not set(name) & set('/\\:*?"<>|\x1b\n ') for name in names
    )
    (plain,) = runs.runs({"axes": {"arm": ["a"]}}, frame.iloc[:1])
    assert plain.name == cells[0]


def test_an_axis_of_mixed_values_reads_as_text_in_every_run():
    frame = pd.DataFrame({"model.head_dim": [None, 16], "status": "done"}, index=["a", "b"], dtype=object)
    found = runs.runs({"axes": {"model.head_dim": [None, 16]}}, frame)
    assert [run.axes["head_dim"] for run in found] == ["auto", "16"]
    assert runs.alike([True, False]) == [True, False] and runs.alike([1, 2.5]) == [1, 2.5]
    assert runs.alike([1, True]) == ["1", "yes"]


def test_mistakes_are_one_line_each_and_nothing_is_written(workdir, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    csv = export.export(workdir, "csv", tmp_path / "csv")
    published.write(tmp_path / "another")
    before = contents(tmp_path)
    for arguments, words in (
        ((workdir, "tensorbord"), "did you mean tensorboard?"),
        ((tmp_path / "no", "csv"), "no such folder"),
        ((workdir, "csv", tmp_path / "mine"), "holds other files"),
        ((workdir, "csv", tmp_path / "file"), "a file"),
        ((workdir, "parquet", csv), "to csv"),
        ((tmp_path / "another", "csv", csv), "holds the export of"),
    ):
        with pytest.raises(UserError) as error:
            export.export(*arguments)
        assert len(error.value.problems) == 1 and words in str(error.value)
    assert contents(tmp_path) == before


def test_without_tensorboardx_the_error_is_the_command_that_installs_it(workdir, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.partition(".")[0] == "tensorboardX":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    for module in [name for name in sys.modules if name.startswith(("tensorboardX", "experiments.exports.events"))]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UserError, match="pip install tensorboardX"):
        export.export(workdir, "tensorboard", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_folder_and_knows_no_jax(workdir, tmp_path):
    code = "import sys; from experiments import export\n"
    code += (
        f"[export.main(['--workdir={workdir}', f'--to={{to}}', f'--out={tmp_path}/{{to}}']) for to in export.FORMATS]"
    )
    code += "\nsys.exit(bool({'jax', 'flax'} & sys.modules.keys()))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == [str((tmp_path / to).resolve()) for to in export.FORMATS]
