"""What SECURITY.md says of the source: nothing that is read is executed."""

import ast
import json
import re
import runpy
import subprocess
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for name in ("flax_tx", "experiments", "sweeps", "benchmarks") for path in (ROOT / name).rglob("*.py")]
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__", "read_pickle", "to_pickle", "system", "popen"}
NO_BUILTIN = {"compile"}  # a method of JAX, and of re


def names(tree):
    """Modules that are imported, functions that are called, and keywords that are given, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], node.lineno
        if isinstance(node, ast.Call):
            method = isinstance(node.func, ast.Attribute)
            name = node.func.attr if method else getattr(node.func, "id", "")
            yield name if not (method and name in NO_BUILTIN) else "", node.lineno
            shell = [word for word in node.keywords if word.arg in ("shell", "allow_pickle")]
            yield from ((word.arg, node.lineno) for word in shell if getattr(word.value, "value", True))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles_evaluates_or_asks_a_shell(path):
    found = dict(names(ast.parse(path.read_text(encoding="utf-8"))))
    assert not found.keys() & (MODULES | CALLS | {"shell", "allow_pickle"}), found


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from joblib import load", "eval('1')", "np.load(x, allow_pickle=True)", "pd.read_pickle(x)"],
)
def test_the_walk_sees_what_it_looks_for(code):
    assert {name for name, _ in names(ast.parse(code))} & (MODULES | CALLS | {"allow_pickle"})


def test_arrays_are_loaded_without_pickle_wherever_they_are_loaded():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert {word.arg for word in node.keywords} >= {"allow_pickle"}, path


@pytest.mark.parametrize(
    "lock", ["requirements.txt", "requirements-data.txt", "requirements-parity.txt", "requirements-cluster.txt"]
)
def test_every_package_of_a_lock_has_its_hashes(lock):
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^([a-zA-Z0-9][\w.-]*)==", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-zA-Z0-9][\w.-]*==)", text, flags=re.MULTILINE)[1:]
    assert packages and len(entries) == len(packages)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def audit(answer, report):
    """The exit status and the output of .ci/audit where the service and pip-audit say so."""
    module = runpy.run_path(str(ROOT / ".ci" / "audit"))
    done = subprocess.CompletedProcess([], 0, report, "")
    with (
        mock.patch("urllib.request.urlopen", answer),
        mock.patch("subprocess.run", return_value=done),
        mock.patch("builtins.print") as said,
    ):
        return module["main"](), " ".join(str(call.args[0]) for call in said.call_args_list)


def service(text):
    """A service that answers with a text."""
    answer = mock.MagicMock()
    answer.return_value.__enter__.return_value.read.return_value = text
    return answer


def report(*packages):
    """A report of pip-audit, which is asked once for each lock."""
    return json.dumps({"dependencies": packages})


BAD = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
GOOD, UNKNOWN = {"name": "y", "version": "1", "vulns": []}, {"name": "z", "skip_reason": "not found"}
THERE = service('{"vulnerabilities": []}')


@pytest.mark.parametrize(
    ("answer", "report", "status", "said"),
    [
        (mock.Mock(side_effect=OSError), "", 0, "pip-audit: skipped"),
        (service("<html>"), "", 0, "pip-audit: skipped"),
        (THERE, "nothing", 0, "pip-audit: skipped, no report"),
        (THERE, report(GOOD, UNKNOWN), 0, "0 of 4 packages have known vulnerabilities; 2 were known"),
        (THERE, report(GOOD, BAD), 1, "x 1: PYSEC-1, mended in 2"),
    ],
)
def test_only_a_known_vulnerability_fails_the_audit(answer, report, status, said):
    assert audit(answer, report)[0] == status and said in audit(answer, report)[1]
