"""The documents say what is so: the catalogue is what the code makes, the examples of the guide run end to end."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from experiments import plan, remote, sweep_file
from flax_tx import catalogue, methods
from flax_tx.config import knobs
from flax_tx.wiring import WIRINGS, Wiring

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
CELL = re.compile(r"(?<!\\)\|")


def tables(text):
    """Every table of a document, as rows of cells, the heads first."""
    for lines in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        heads, _, *rows = (CELL.split(line)[1:-1] for line in lines.splitlines())
        yield [[cell.strip() for cell in row] for row in (heads, *rows)]


def python_of(text):
    """The Python of a document, on the lines where it stands."""
    found, language = [], None
    for line in text.splitlines():
        fence = line.startswith("```")
        found.append("" if fence or language != "python" else line)
        language = language if not fence else line.removeprefix("```") or None
    return "\n".join(found)


def test_the_catalogue_is_what_the_code_makes():
    assert catalogue.DOCUMENT.read_text(encoding="utf-8") == catalogue.document(), f"{catalogue.COMMAND} --write"


def test_check_finds_a_row_that_the_document_lacks_and_write_puts_it_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalogue, "DOCUMENT", tmp_path / "catalogue.md")
    assert [catalogue.main([flag]) for flag in ("--check", "--write", "--check")] == [1, 0, 0]
    monkeypatch.setitem(WIRINGS, "twice", Wiring("x' = |x| + 2f(x)", "nobody"))
    assert catalogue.main(["--check"]) == 1
    assert "twice" not in capsys.readouterr().out
    assert catalogue.main([]) == 0
    assert r"| `twice` | `x' = \|x\| + 2f(x)` | nobody |  | no |  |  |" in capsys.readouterr().out


def test_every_name_of_the_model_and_every_knob_is_in_the_catalogue_once():
    found = [list(table) for table in tables(catalogue.document())]
    assert all(len(row) == len(heads) for heads, *rows in found for row in rows)
    names = [[row[0].strip("`") for row in rows] for _, *rows in found]
    assert sorted(name for table in names for name in table if "." in name) == sorted(knobs())
    for name, field in knobs().items():
        wanted = set(field.metadata.get("among", ()))
        listed = {
            word
            for heads, *rows in found
            for row in rows
            if row[0] == f"`{name}`"
            for word in re.findall(r"`([\w-]+)`", row[2])
        }
        assert wanted <= listed | {word for table in names for word in table}, name


def test_what_a_row_of_the_catalogue_says_is_there_to_act():
    from flax_tx.reparams import REPARAMS

    assert list(REPARAMS) == list(methods.REPARAMS)


def test_the_catalogue_knows_no_jax():
    code = "import sys, flax_tx.catalogue; sys.exit(bool({'jax', 'flax'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_examples_of_the_guide_run_in_order(tmp_path):
    script = tmp_path / "extending.py"
    script.write_text(python_of(GUIDE), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": QUICK}
    ended = subprocess.run([sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_the_sweep_of_the_guide_plans(tmp_path, monkeypatch):
    monkeypatch.setitem(WIRINGS, "post-branch", WIRINGS["branch"])
    (text,) = (block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "def get_hyper" in block)
    path = tmp_path / "second_norm.py"
    path.write_text(text, encoding="utf-8")
    made = plan.make(sweep_file.read(str(path)), {})
    assert f"= {len(made.cells)}" in made.file.question


@pytest.mark.parametrize("document", DOCS, ids=lambda document: document.stem)
def test_every_link_and_every_file_that_is_named_exists(document):
    text = document.read_text(encoding="utf-8")
    linked = [document.parent / link for link in re.findall(r"\]\(((?!http)[^)#]+)\)", text)]
    named = [ROOT / name for name in re.findall(r"`((?:flax_tx|docs|sweeps|experiments)/[\w/.]+)`", text)]
    assert linked + named
    assert [path for path in linked + named if not path.exists()] == []


@pytest.mark.parametrize("document", ["clusters.md", "kuberay.yaml"])
def test_the_launches_on_clusters_have_flags_that_exist(document, monkeypatch):
    monkeypatch.setattr(remote, "local", lambda workdir: workdir)  # no bucket is asked
    text = (ROOT / "docs" / document).read_text(encoding="utf-8").replace("\\\n", " ")
    if document.endswith("yaml"):
        text = yaml.safe_load(text)["spec"]["entrypoint"]
    found = re.findall(r"python -m experiments\.(launch|work)((?: +--[^\s\"]+)+)", text)
    assert found
    for command, arguments in found:
        module = importlib.import_module(f"experiments.{command}")
        _, rest = module.parser().parse_known_args(arguments.split())
        assert rest == [], command


def test_the_ray_job_is_one_cluster_with_a_token_and_the_version_that_is_asked_for():
    job = yaml.safe_load((ROOT / "docs" / "kuberay.yaml").read_text(encoding="utf-8"))
    cluster = job["spec"]["rayClusterSpec"]
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert cluster["authOptions"] == {"mode": "token"}
    assert f"\nray=={cluster['rayVersion']} " in (ROOT / "requirements-cluster.txt").read_text(encoding="utf-8")
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [container for group in groups for container in group["template"]["spec"]["containers"]]
    assert len({container["image"] for container in containers}) == 1
