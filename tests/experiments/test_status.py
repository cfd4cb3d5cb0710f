"""What experiments.status tells: how far, what went wrong, where to look, how to go on."""

import pytest

from experiments import records, status
from flax_tx.errors import UserError
from tests.experiments import synthetic


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder)
    return folder


def test_counts_failures_with_their_file_and_the_command_that_continues(workdir, capsys):
    status.main([f"--workdir={workdir}"])
    text = capsys.readouterr().out
    assert "118 of 120 cells have a result (98 done, 10 stuck, 8 diverged, 2 failed, 2 missing)" in text
    frame = records.load(workdir)
    for cell in frame.index[frame.status == "failed"]:
        (line,) = [line for line in text.splitlines() if cell in line]
        assert "RESOURCE_EXHAUSTED [red]x[/red]" in line and str(records.cell_dir(workdir, cell) / "error.txt") in line
    for cell in frame.index[frame.status.isin(["missing", "diverged"])]:
        assert cell in text
    assert "at step 24" in text and f"continue: {records.sweep(workdir)['command']}" in text


def test_every_program_has_a_line_whose_counts_sum_to_its_cells(workdir, capsys):
    status.main([f"--workdir={workdir}"])
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    for program, cells in records.sweep(workdir)["programs"].items():
        assert sum(int(word) for word in lines[program][1:6] if word != "·") == len(cells)


def test_a_finished_sweep_leads_to_its_table_and_a_new_one_names_a_few_of_its_cells(tmp_path, capsys):
    small = {"wirings": ("pre",), "norms": ("layernorm",), "depths": (6,), "seeds": range(30)}
    synthetic.write(tmp_path, **small, end_of=lambda overrides: "missing")
    status.main([f"--workdir={tmp_path}"])
    assert "and 40 more" in capsys.readouterr().out
    synthetic.write(tmp_path, **small)
    status.main([f"--workdir={tmp_path}"])
    text = capsys.readouterr().out
    assert "python -m experiments.table" in text and "continue" not in text


def test_a_folder_without_a_sweep_is_one_line(tmp_path):
    with pytest.raises(UserError, match="expected a folder with sweep"):
        status.main([f"--workdir={tmp_path}"])


def test_a_damaged_cell_is_named_with_its_file_and_the_command_that_trains_it_again(tmp_path, capsys):
    manifest = synthetic.write(tmp_path, wirings=("pre",), norms=("layernorm",), depths=(6,))
    path = records.cell_dir(tmp_path, manifest["cells"][1]) / "metrics.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    status.main([f"--workdir={tmp_path}"])
    text = capsys.readouterr().out
    assert "3 of 4 cells have a result (3 done, 0 stuck, 0 diverged, 0 failed, 1 damaged, 0 missing)" in text
    (line,) = [line for line in text.splitlines() if f"  {manifest['cells'][1]}  " in line]
    assert str(path) in line and "not the bytes that were written" in line
    assert f"again:    {manifest['command']} --retry=damaged" in text
