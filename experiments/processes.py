"""The processes of a distributed launch, as flags and checks: the same command is started once in each of them."""

import argparse
import os
import re
from collections.abc import Iterator

from experiments.plan import Plan

EXECUTOR = "distributed"
SLURM = {
    "num_processes": ("SLURM_NTASKS", "how many processes train together"),
    "process_id": ("SLURM_PROCID", "which of them this one is, from 0"),
}


def add_flags(flags: argparse.ArgumentParser) -> None:
    """The flags that say how they meet; a Slurm job says it itself."""
    flags.add_argument("--coordinator", default="", help=f"{EXECUTOR}: HOST:PORT of the first process")
    for name, (variable, said) in SLURM.items():
        default = int(os.environ.get(variable, 0))
        flags.add_argument(f"--{name}", type=int, default=default, help=f"{EXECUTOR}: {said}; default: ${variable}")


def problems(flags: argparse.Namespace) -> Iterator[str]:
    """What is wrong with those flags, a line each."""
    if flags.executor != EXECUTOR:
        return
    count, which = flags.num_processes, flags.process_id
    if not flags.coordinator and "SLURM_JOB_ID" not in os.environ:
        yield "--coordinator: expected HOST:PORT of the first process, since there is no Slurm job that says it"
    if flags.coordinator and not re.fullmatch(r"\S+:\d{1,5}", flags.coordinator):
        yield f"--coordinator = {flags.coordinator!r}: expected HOST:PORT"
    if count < 1:
        yield f"--num_processes = {count}: expected at least 1, the processes that are started"
    elif not 0 <= which < count:
        yield f"--process_id = {which}: expected 0 to {count - 1}, since --num_processes = {count}"


def uneven(flags: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """Lines for the meshes whose devices cannot be equally many in every process."""
    sizes = {config.mesh.size() for config in plan.cells.values()} if flags.executor == EXECUTOR else ()
    for size in sorted(size for size in sizes if size % flags.num_processes):
        said = "mesh.data * mesh.fsdp * mesh.tensor"
        yield f"{said} = {size}: expected a multiple of --num_processes = {flags.num_processes}"


def follows(flags: argparse.Namespace) -> bool:
    """Whether this process does as the first one says."""
    return flags.executor == EXECUTOR and flags.process_id > 0
