"""A cell trained again from its record alone: equal to the bit, or said in what not."""

import subprocess
import sys

import pytest

from experiments import records, rerun
from flax_tx.errors import UserError
from tests.experiments import synthetic, tiny

ONE_PROGRAM = tiny.SWEEP.replace('["post", "pre"]', '["post"]').replace("[1e-2, 3e-2]", "[1e-2]")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again ü")
    done = tiny.launch(f"--config={tiny.write(folder, ONE_PROGRAM)}", f"--workdir={folder / 'run'}")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_record_suffices_to_make_the_same_bits_and_the_workdir_is_only_read(workdir, capsys):
    cells = records.sweep(workdir)["cells"]
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    assert rerun.main([f"--workdir={workdir}", *cells]) == 0
    output = capsys.readouterr().out
    assert output.count("equal      status, summary, metrics.parquet, layers.parquet") == len(cells) == 2
    assert "2 of 2 cells are equal to the bit" in output and "differs" not in output
    assert before == {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_what_is_not_as_recorded_is_said(workdir, tmp_path, capsys):
    cell, other = records.sweep(workdir)["cells"]
    copied = tmp_path / "run"
    subprocess.run(["cp", "-r", workdir, copied], check=True)
    metrics = records.load_metrics(workdir, [cell]).drop(columns="cell")
    metrics.loc[6, "train_loss"] += 0.5
    end = records.outcome(workdir, cell)
    summary = {name: end[name] for name in (*records.NUMBERS, "device", "jax") if name in end} | {"commit": "0" * 40}
    status = {name: end[name] for name in ("status", "step", "reason", "finished", "seconds")}
    layers = records.load_layers(workdir, [cell]).drop(columns="cell")
    records.write_result(copied, cell, metrics, layers, summary, status)
    assert rerun.main([f"--workdir={copied}", cell, "--lanes=1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == cell and lines[1] == "  equal      status, summary, layers.parquet"
    assert lines[2].startswith("  differs    metrics.parquet: train_loss first at step 7: ")
    assert "(in 1 of 12 rows, by at most 0.5)" in lines[2]
    assert any(line.startswith("  made with  commit ") and line.endswith(f"was {'0' * 40}") for line in lines[3:])
    assert lines[-1] == "0 of 1 cells are equal to the bit" and other not in "".join(lines)


def test_all_that_is_wrong_is_said_before_anything_runs(tmp_path, capsys):
    cells = synthetic.write(tmp_path, norms=("rmsnorm",), wirings=("deepnorm",), depths=(6,), seeds=(0, 1, 2))["cells"]
    ends = records.load(tmp_path).status
    (missing, *_), (done, *_) = (ends.index[ends == status] for status in ("missing", "done"))
    path = records.cell_dir(tmp_path, done) / "summary.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError) as error:
        rerun.main([f"--workdir={tmp_path}", missing, done, cells[0][:-1] + "z", "../x"])
    lines = error.value.problems
    assert len(lines) == 4 and not capsys.readouterr().out
    assert lines[0] == f"cell {missing}: missing; expected one with a result, to compare with"
    assert lines[1].startswith(f"cell {done}: damaged (") and str(path) in lines[1]
    assert f"did you mean {cells[0]}?" in lines[2] and lines[3].startswith("cell '../x': not in ")


def test_the_command_itself_needs_no_jax():
    code = "import sys; import experiments.rerun; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tiny.ROOT).returncode == 0
