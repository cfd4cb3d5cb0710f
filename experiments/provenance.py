"""Where numbers come from: commit, versions, machine."""

import datetime
import functools
import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import psutil

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-datasets")
TRAINS = ("engine", "group", "member", "compiled", "checkpoints")  # modules of this package that decide a number


def collect() -> dict:
    """The provenance of a launch, as sweep.json holds it."""
    return {
        "git": git(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def git() -> dict:
    """The commit of the code, and whether files differ from it; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        commit, changes = (
            subprocess.run(["git", *command], cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


@functools.cache
def code() -> str:
    """A hash of the source that decides a number, whether it was committed or not."""
    root = Path(__file__).parents[1]
    files = [*root.glob("flax_tx/**/*.py"), *(root / "experiments" / f"{name}.py" for name in TRAINS)]
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def cpu() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
