"""Longer training: which cells differ in `train.steps` alone, and whether one can start where the other ended."""

import collections
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments import records
from experiments.labels import key
from experiments.plan import Plan
from flax_tx.config import Config, flatten, identity, put, to_dict
from flax_tx.errors import UserError

LENGTH = "train.steps"
OPEN_ENDED = ("constant", "inverse_sqrt")  # schedules in which no step knows how many there will be


def family(config: Config) -> str:
    """One name for all the cells that differ in their number of steps alone."""
    return identity(put(config, {LENGTH: 1}))


def states(workdir: str | os.PathLike, config: Config) -> Path:
    """The folder of the last states of a family, as --keep_state leaves them."""
    return Path(workdir) / "states" / family(config)


def open_ended(config: Config) -> bool:
    """Whether the first steps of a longer cell are those of a shorter one."""
    return config.optim.schedule in OPEN_ENDED


def notes(plan: Plan, workdir: str | os.PathLike, missing: Iterable[str]) -> Iterator[str]:
    """What becomes of the missing cells of which the workdir has shorter ones: a line for each way to begin."""
    shorter = lengths(workdir, plan)
    found: dict[str, list[int]] = collections.defaultdict(list)
    for cell in missing if shorter else ():
        config = plan.cells[cell]
        steps = [length for length in shorter.get(stem(to_dict(config)), ()) if length < config.train.steps]
        if steps:
            found[beginning(workdir, config)].append(max(steps))
    for words, steps in found.items():
        of = " or ".join(map(str, sorted(set(steps))))
        yield f"{len(steps)} cells are longer than cells of {of} steps that have a result: {words}"


def beginning(workdir: str | os.PathLike, config: Config) -> str:
    """Where a longer cell begins, and why."""
    if not open_ended(config):
        return f"they start anew, since optim.schedule = {config.optim.schedule!r} depends on {LENGTH}"
    if any(int(path.stem) < config.train.steps for path in states(workdir, config).glob("*.json")):
        return "they go on from there"
    return "they start anew, since no last state was kept (--keep_state keeps it)"


def lengths(workdir: str | os.PathLike, plan: Plan) -> dict[tuple, list[int]]:
    """Stem -> the steps of the cells in the workdir that have a result and are not of the plan."""
    found: dict[tuple, list[int]] = collections.defaultdict(list)
    for path in Path(workdir).glob("cells/*/status.json"):
        if path.parent.name not in plan.cells:
            with contextlib.suppress(UserError):  # a record that cannot be read says nothing
                config = records.read_config(workdir, path.parent.name)
                found[stem(config)].append(config["train"]["steps"])
    return found


def stem(config: dict) -> tuple:
    """Everything in a nested config but its number of steps, hashable."""
    flat = flatten(config)
    return tuple(sorted((name, repr(key(value))) for name, value in flat.items() if name != LENGTH))
