"""What a record must look like to be read, whoever wrote it: the fields of sweep.json, status.json and summary.json.

A class here is the least that the readers rely on; a record may hold more.
"""

import dataclasses
import functools
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, get_args

from experiments.typed import holds, words

ID = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_-]{0,63}")
STATUSES = ("done", "stuck", "diverged", "failed")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """sweep.json."""

    name: str
    question: str
    command: str
    axes: dict[str, list]
    cells: list[str]
    programs: dict[str, list[str]]
    data: dict[str, dict[str, Any]]
    provenance: dict[str, Any]
    size: str | None = None
    arms: dict[str, str] = dataclasses.field(default_factory=dict)
    points: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    table: dict[str, Any] | None = None
    tables: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    claims: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    figure: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """The provenance of a sweep.json."""

    created: str
    git: dict[str, Any]
    versions: dict[str, str]
    python: str
    platform: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What sweep.json says of a data set."""

    task: str | None = None
    fingerprint: str | None = None
    unigram_loss: float | None = None
    bigram_loss: float | None = None
    floor_loss: float | None = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """config.json."""

    id: str
    config: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Status:
    """status.json; `files` are the other files of the result, each with its SHA-256."""

    status: str
    step: int | None = None
    reason: str | None = None
    finished: str | None = None
    seconds: float | None = None
    files: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Summary:
    """summary.json: numbers are null where they are not known."""

    val_loss: float | None = None
    val_loss_se: float | None = None
    test_loss: float | None = None
    test_loss_se: float | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    final_train_loss: float | None = None
    params: float | None = None
    flops_per_step: float | None = None
    tokens_per_second: float | None = None
    compile_seconds: float | None = None
    train_seconds: float | None = None
    unigram_loss: float | None = None
    floor_loss: float | None = None
    progress: float | None = None
    group: float | None = None
    precision: str | None = None
    device: str | None = None
    commit: str | None = None
    jax: str | None = None


@dataclasses.dataclass(frozen=True)
class Launch:
    """launches/<start>.json."""

    started: str
    seconds: float
    cells_run: int
    lanes: int
    interrupted: bool
    git: dict[str, Any]


def problems(record: Mapping[str, Any], kind: type) -> Iterator[str]:
    """What of a record is not as its class says, a few words each."""
    for name, plain, annotation, needed in fields(kind):
        if name not in record:
            yield from (f"{name} is absent",) * needed
        elif type(record[name]) not in plain and not holds(record[name], annotation):
            yield f"{name} = {record[name]!r:.60}: expected {words(annotation)}"


@functools.cache
def fields(kind: type) -> list[tuple[str, tuple[type, ...], Any, bool]]:
    """Name, the plain types that it may be of, its annotation and whether it is needed, of each field."""
    none = dataclasses.MISSING
    return [
        (f.name, kinds(f.type), f.type, f.default is none and f.default_factory is none)
        for f in dataclasses.fields(kind)
    ]


def kinds(annotation: Any) -> tuple[type, ...]:
    """The types that an annotation names outright."""
    return get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def manifest_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """The same of sweep.json and what is within it: names that are none could lead out of the workdir."""
    found = list(problems(record, Manifest))
    yield from found
    if found:
        return
    cells = [*record["cells"], *(cell for members in record["programs"].values() for cell in members)]
    yield from not_ids([*cells, *record.get("arms", ()), *record.get("points", ())])
    if len(set(record["cells"])) < len(record["cells"]):
        yield "cells: expected each once"
    yield from (f"provenance.{line}" for line in problems(record["provenance"], Source))
    for name, about in record["data"].items():
        yield from (f"data.{name}.{line}" for line in problems(about, Dataset))


def not_ids(names: Iterable[str]) -> Iterator[str]:
    """A line for each name that is not the id of a cell."""
    yield from (f"{name!r:.60}: expected the id of a cell" for name in dict.fromkeys(names) if not ID.fullmatch(name))


def is_name(name: str) -> bool:
    """Whether a text names a file within a folder, and nothing elsewhere."""
    return PurePath(name).name == name and name not in ("", ".", "..") and not re.search(r"[\0/\\]", name)
