"""What a lane may own: a core, or a GPU. Found without JAX, which a launcher must not import.

GPUs are NVIDIA's: those that CUDA_VISIBLE_DEVICES names, else those that the driver shows. MIG slices have to be named.
"""

import importlib.metadata
import itertools
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from flax_tx.errors import nearest

KINDS = ("auto", "cpu", "gpu")
DRIVER = Path("/proc/driver/nvidia/gpus")
NAMED = re.compile(r"\d+|(GPU|MIG)-[\w./-]+")
PLUGINS = ("jax-cuda13-plugin", "jax-cuda12-plugin")
FRACTION = 0.9  # of a GPU's memory that the lanes on it take at their start
FRACTIONS = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")  # JAX takes either, not both


@dataclass(frozen=True)
class Device:
    """A core or a GPU, or several, by index or as CUDA names them, and the variables of a process that owns them."""

    kind: str  # cpu or gpu
    indices: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def own(kind: str, lanes: int = 0, each: int = 1) -> list[Device]:
    """What every lane owns: `each` cores or GPUs. As many lanes as they are enough for, or `lanes`, which take turns.

    A lane that needs more than there are has all of them.
    """
    names = gpus() if on_gpus(kind) else []
    if not names:
        found = [Device("cpu", share, for_cpu(kind)) for share in shares([*map(str, cores())], each)]
        return list(itertools.islice(itertools.cycle(found), lanes or len(found)))
    teams = shares(names, each)
    turns = list(itertools.islice(itertools.cycle(teams), lanes or len(teams)))
    return [Device("gpu", team, for_gpu(team, turns.count(team))) for team in turns]


def shares(names: list[str], each: int) -> list[tuple[str, ...]]:
    """`each` of them for a lane; all of them for one that needs more."""
    return [tuple(names[i : i + each]) for i in range(0, len(names) - each + 1, each)] or [tuple(names)]


def cores() -> list[int]:
    """The cores that this process may use."""
    process = psutil.Process()
    return process.cpu_affinity() if hasattr(process, "cpu_affinity") else list(range(os.cpu_count() or 1))


def gpus() -> list[str]:
    """The GPUs that this process may use."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:  # CUDA, too, takes what stands before the first name that is none
        return list(itertools.takewhile(NAMED.fullmatch, map(str.strip, listed.split(","))))
    return [str(index) for index in range(len([*DRIVER.glob("*")]) or len(shown_by_driver()))]


def shown_by_driver() -> list[str]:
    """The lines of nvidia-smi, one for each GPU."""
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
        return [line for line in said.stdout.splitlines() if line.startswith("GPU ")]
    return []


def on_gpus(kind: str) -> bool:
    """Whether lanes own GPUs, where there are any: as asked for, else as JAX_PLATFORMS and JAX's plugins have it."""
    platforms = os.environ.get("JAX_PLATFORMS", "cuda")
    return kind == "gpu" or (kind == "auto" and plugin() and any(name in platforms for name in ("cuda", "gpu")))


def plugin() -> bool:
    """Whether JAX was installed with CUDA."""
    names = {found.metadata["Name"] for name in PLUGINS for found in importlib.metadata.distributions(name=name)}
    return bool(names)


def for_cpu(kind: str) -> dict[str, str]:
    """The variables of a lane that owns a core: several of them must not share one GPU."""
    return {"JAX_PLATFORMS": "cpu" if kind == "cpu" else os.environ.get("JAX_PLATFORMS", "cpu")}


def for_gpu(names: tuple[str, ...], sharers: int) -> dict[str, str]:
    """The variables of a lane that owns GPUs, or its share of them; a fraction of memory that was set stays."""
    mine = {"CUDA_VISIBLE_DEVICES": ",".join(names), "JAX_PLATFORMS": "cuda,cpu"}
    share = {} if any(name in os.environ for name in FRACTIONS) else {FRACTIONS[0]: f"{FRACTION / sharers:.3f}"}
    return mine | share


def problems(kind: str, here: bool = True) -> Iterator[str]:
    """Why lanes cannot own that, a line each; `here`: on this machine."""
    if kind not in KINDS:
        yield f"--device = {kind!r}: expected one of {', '.join(KINDS)}{nearest(kind, KINDS)}"
    if kind == "gpu" and here and not gpus():
        yield f"--device = 'gpu': no GPU in CUDA_VISIBLE_DEVICES, {DRIVER} or nvidia-smi -L; expected cpu or auto"
    if kind == "gpu" and here and not plugin():
        yield f"--device = 'gpu': this JAX has no CUDA; {install()}"


def lacking(kind: str, each: int) -> Iterator[str]:
    """A line where a cell of this many devices finds fewer GPUs here; cores stand in for as many as are asked for."""
    names = gpus() if on_gpus(kind) else []
    if 0 < len(names) < each:
        said = "mesh.data * mesh.fsdp * mesh.tensor"
        yield f"{said} = {each}: expected at most the {len(names)} GPUs of this machine, or --device=cpu"


def notes(kind: str) -> Iterator[str]:
    """What a launch should say of the devices that it does not use."""
    if kind == "auto" and not plugin() and (found := gpus()):
        yield f"{len(found)} GPU{'s' * (len(found) > 1)} stay idle, since this JAX has no CUDA: {install()}"


def install() -> str:
    """The command that installs JAX with CUDA, of the version that is there."""
    version = importlib.metadata.version("jax")
    return f'pip install "jax[cuda13]=={version}" (cuda12 where the driver is older than 580)'
