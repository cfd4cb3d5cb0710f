"""Executes a notebook and writes it with its outputs: python docs/execute.py docs/tour.ipynb [--to=FILE]"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TIMEOUT = 900  # seconds for one cell


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook as it comes out, run beside its file by this Python. Raises: CellExecutionError at an error."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    notebook = nbformat.read(path, as_version=4)
    kernel = {"kernel_name": "python3", "timeout": TIMEOUT, "record_timing": False}
    done = NotebookClient(notebook, resources={"metadata": {"path": path.parent}}, **kernel).execute()
    done.metadata.language_info = {"name": "python"}  # without the version of whoever ran it
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--to", type=Path, help="where it is written; default: in place")
    flags = parser.parse_args()
    nbformat.write(execute(flags.notebook), flags.to or flags.notebook)
