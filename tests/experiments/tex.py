"""LaTeX read and typeset in tests."""

import os
import re
import shutil
import subprocess

import pytest

INSIDE = r"((?:[^{}]|\\[{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)"  # of braces, four deep


def plain(tex):
    """LaTeX without what only takes room, and with spaces for ties."""
    tex = re.sub(rf"\\phantom\{{{INSIDE}\}}", "", tex)
    return (
        re.sub(rf"\\rlap\{{{INSIDE}\}}", r"\1", tex)
        .replace("~", " ")
        .replace(r"\allowbreak{}", "")
        .replace("-{}-", "--")
    )


def needs(*programs):
    """Skips a test where a program is not installed; in CI, where `make tools` installs them all, it fails."""
    for program in programs:
        if shutil.which(program) is None:
            reason = f"{program} is not installed; make tools installs it"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def typeset(folder, tex, name="table", runs=1):
    """(exit status, log, text on the pages) of pdfLaTeX."""
    needs("pdflatex", "pdftotext")
    (folder / f"{name}.tex").write_text(tex, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"{name}.tex"]
    for _ in range(runs):
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    text = subprocess.run(["pdftotext", "-layout", f"{name}.pdf", "-"], cwd=folder, capture_output=True, check=False)
    return done.returncode, log, text.stdout.decode("utf-8", errors="replace")


def too_wide(log):
    """By how many points boxes are wider than the page, where that can be seen."""
    return [
        float(points) for points in re.findall(r"^Overfull \\hbox \(([\d.]+)pt", log, re.MULTILINE) if float(points) > 3
    ]


def right_edges(pdf):
    """Word -> where it ends on the page, in points."""
    command = ["pdftotext", "-bbox", str(pdf), "-"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {word: float(right) for right, word in re.findall(r'xMax="([\d.]+)" yMax="[\d.]+">([^<]*)</word>', page)}
