"""The tour runs from its first cell to its last, in a folder of its own, and is kept with what came out."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "docs" / "tour.ipynb"


def outputs(notebook):
    """The texts of all outputs."""
    found = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return [str(output.get("text") or output.get("data")) for output in found]


@pytest.fixture(scope="module")
def tool():
    """docs/execute.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("execute", ROOT / "docs" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What a reader has checked out, without anything that was run."""
    for name in ("flax_tx", "experiments", "sweeps"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / TOUR.name).write_bytes(TOUR.read_bytes())
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path


def test_every_cell_runs_and_leaves_what_the_text_says(tool, folder):
    done = tool.execute(folder / "docs" / TOUR.name)
    assert [cell.cell_type for cell in done.cells] == [cell.cell_type for cell in nbformat.read(TOUR, 4).cells]
    assert not any(output.output_type == "error" for cell in done.cells for output in cell.get("outputs", ()))
    assert (folder / "runs" / "tour" / "report.html").is_file()
    assert (folder / "runs" / "tour" / "export" / "csv" / "metrics.csv").is_file()
    assert sum("image/png" in text for text in outputs(done)) >= 2
    assert "36 of 36 cells have a result" in " ".join(outputs(done))


def test_an_error_in_a_cell_is_not_passed_over(tool, folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('a cell broke')")])
    nbformat.write(notebook, folder / "docs" / "broken.ipynb")
    with pytest.raises(Exception, match="a cell broke"):
        tool.execute(folder / "docs" / "broken.ipynb")


def test_it_is_kept_as_it_came_out_without_a_trace_of_who_ran_it():
    kept = nbformat.read(TOUR, 4)
    nbformat.validate(kept)
    assert all(cell.outputs for cell in kept.cells[2:] if cell.cell_type == "code" and not cell.source.startswith("%"))
    assert [cell.execution_count for cell in kept.cells if cell.cell_type == "code"] == [
        number + 1 for number in range(sum(cell.cell_type == "code" for cell in kept.cells))
    ]
    text = " ".join(outputs(kept))
    assert not re.search(r"/(home|root|work|tmp|Users)/", text) and "�" not in text and "Traceback" not in text
    assert "Warning" not in text and not any("execution" in cell.metadata for cell in kept.cells)
