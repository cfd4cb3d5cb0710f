"""The flags of a command that runs programs: what is wrong with them, and what they tell executors and lanes."""

import argparse
import math
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from experiments import plan as planning
from experiments import processes, records
from experiments.executors import cluster, devices
from experiments.plan import Plan
from experiments.settings import Settings
from flax_tx.errors import nearest

EXECUTORS = ("local", "inline", "ray", processes.EXECUTOR)
RETRIED = ("failed", "diverged", "stuck", records.DAMAGED)
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SHARE = 0.9  # of the memory of the machine, for all lanes together


def add_flags(flags: argparse.ArgumentParser) -> None:
    """The flags of a command that runs programs."""
    flags.add_argument("--executor", default="local", help=f"one of {', '.join(EXECUTORS)}")
    flags.add_argument("--lanes", type=int, default=0, help="worker processes; 0: one per device")
    flags.add_argument("--device", default="auto", help=f"what a lane owns, one of {', '.join(devices.KINDS)}")
    flags.add_argument("--group", default="auto", help="cells of a program that train together; auto: 1 on a CPU")
    flags.add_argument(
        "--lane_memory", default="0", help="bytes that a lane may use, such as 4G; auto: its share; 0: any"
    )
    flags.add_argument("--checkpoint_seconds", type=float, default=60.0, help="0: at every chunk; below 0: never")
    flags.add_argument("--keep_state", action="store_true", help="keep last states, for longer cells to go on from")
    flags.add_argument("--ray_address", help="of a Ray cluster: auto, HOST:PORT, or local for one of its own")
    flags.add_argument("--task_cpus", type=float, default=1.0, help="CPUs of a node that a lane of Ray takes")
    flags.add_argument("--task_gpus", type=float, help="GPUs of it; default: one where there are any")
    processes.add_flags(flags)


def add_retry(flags: argparse.ArgumentParser) -> None:
    """The flag of a command that may give results up."""
    flags.add_argument("--retry", default="", help=f"run again what ended so: some of {','.join(RETRIED)}")


def problems(flags: argparse.Namespace) -> Iterator[str]:
    """What is wrong with those flags, a line each."""
    if flags.executor not in EXECUTORS:
        names = ", ".join(EXECUTORS)
        yield f"--executor = {flags.executor!r}: expected one of {names}{nearest(flags.executor, EXECUTORS)}"
    if flags.lanes < 0:
        yield f"--lanes = {flags.lanes}: expected 0 (one per device) or more"
    yield from devices.problems(flags.device, here=flags.executor != "ray")
    if flags.group != "auto" and not re.fullmatch(r"[1-9]\d{0,5}", flags.group):
        yield f"--group = {flags.group!r}: expected a number of cells from 1, or auto"
    if flags.lane_memory != "auto" and not re.fullmatch(r"\d+[KMGT]?", flags.lane_memory):
        yield f"--lane_memory = {flags.lane_memory!r}: expected bytes, such as 500M or 4G, or auto, or 0 for any"
    if flags.checkpoint_seconds != flags.checkpoint_seconds:
        yield f"--checkpoint_seconds = {flags.checkpoint_seconds}: expected a number of seconds"
    yield from cluster_problems(flags)
    yield from processes.problems(flags)


def mesh_problems(flags: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """The same of the cells on several devices that they are to run."""
    yield from processes.uneven(flags, plan)
    if flags.executor in ("local", "inline"):
        yield from devices.lacking(flags.device, planning.devices(plan.cells.values()))


def retry_problems(flags: argparse.Namespace) -> Iterator[str]:
    """The same of --retry."""
    for name in retried(flags):
        if name not in RETRIED:
            yield f"--retry = {name!r}: expected one or some of {', '.join(RETRIED)}{nearest(name, RETRIED)}"


def cluster_problems(flags: argparse.Namespace) -> Iterator[str]:
    """The same of the flags about Ray."""
    if not 0 < flags.task_cpus < math.inf:
        yield f"--task_cpus = {flags.task_cpus}: expected more than 0"
    if flags.task_gpus is not None and not 0 <= flags.task_gpus < math.inf:
        yield f"--task_gpus = {flags.task_gpus}: expected 0 or more"
    if flags.executor != "ray" and flags.ray_address:
        yield f"--ray_address = {flags.ray_address!r}: expected none with --executor={flags.executor}"
    if flags.executor == "ray" and flags.lane_memory == "auto":
        yield "--lane_memory = 'auto': expected bytes with --executor=ray, since its nodes differ"
    if flags.executor == "ray":
        yield from cluster.problems(flags.ray_address or "")


def retried(flags: argparse.Namespace) -> list[str]:
    """The statuses whose cells are to be run again."""
    return [name.strip() for name in flags.retry.split(",")] if flags.retry else []


def settings(flags: argparse.Namespace, plan: Plan) -> Settings:
    """The flags, for an executor."""
    each = planning.devices(plan.cells.values())
    return Settings(
        lanes=flags.lanes,
        lane_memory=memory(flags.lane_memory, len(devices.own(flags.device, flags.lanes, each))),
        checkpoint_seconds=flags.checkpoint_seconds,
        keep_state=flags.keep_state,
        group=0 if flags.group == "auto" else int(flags.group),
        device=flags.device,
        ray_address=flags.ray_address or "",
        task_cpus=flags.task_cpus,
        task_gpus=flags.task_gpus,
        lane_devices=each,
        coordinator=flags.coordinator,
        num_processes=flags.num_processes,
        process_id=flags.process_id,
    )


def lanes(flags: argparse.Namespace, plan: Plan) -> int:
    """How many lanes a launch of this plan has, where it has programs enough."""
    each = planning.devices(plan.cells.values())
    if flags.executor == "ray":
        return flags.lanes or cluster.room({"CPU": max(flags.task_cpus, each)}) or 1
    return len(devices.own(flags.device, flags.lanes, each)) if flags.executor == "local" else 1


def memory(text: str, lanes: int) -> int:
    """Bytes for each lane: 4G, or its share of the memory that the machine, or the control group, has."""
    if text != "auto":
        return int(text.rstrip("KMGT")) * UNITS[text.lstrip("0123456789")]
    limit = Path("/sys/fs/cgroup/memory.max")
    limits = [psutil.virtual_memory().total]
    if limit.is_file() and limit.read_text().strip().isdecimal():
        limits.append(int(limit.read_text()))
    return int(SHARE * min(limits) / lanes)
