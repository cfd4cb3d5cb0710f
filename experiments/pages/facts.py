"""What a page says of a sweep in words: how it was run, by what, from which data."""

import os
from collections.abc import Iterator, Mapping

import pandas as pd

from experiments import launches
from experiments.labels import count, say
from experiments.overview import duration
from experiments.tables.trials import columns_of

Facts = list[tuple[str, str]]


def run(manifest: Mapping, frame: pd.DataFrame) -> Facts:
    """How the sweep was run, a line each."""
    axes = [(name, values) for name, values in manifest["axes"].items() if len(values) > 1]
    data = [f"{name.partition('|')[0]}: {about.get('source', '')}" for name, about in manifest["data"].items()]
    params = [count(number) for number in (frame.params.min(), frame.params.max()) if number == number]
    size = [("size", manifest["size"])] if manifest.get("size") else []
    return [
        *size,
        *(("axis", f"{name}: {', '.join(map(say, values))}") for name, values in axes),
        ("cells", f"{len(frame)} in {len(manifest['programs'])} programs"),
        *([("parameters", " to ".join(dict.fromkeys(params)))] if params else []),
        *(("data", text) for text in data),
        ("command", manifest["command"]),
    ]


def provenance(workdir: str | os.PathLike, manifest: Mapping, frame: pd.DataFrame) -> Facts:
    """Where the numbers come from, a line each."""
    made = manifest["provenance"]
    git = made.get("git") or {}
    commit = git.get("commit", "no commit") + (", with uncommitted changes" if git.get("dirty") else "")
    data = [
        f"{name.partition('|')[0]}, fingerprint {about['fingerprint']}"
        for name, about in manifest["data"].items()
        if about.get("fingerprint")
    ]
    return [
        ("commit", commit),
        *(("commit of cells", found) for found in _several(frame, "commit")),
        ("versions", ", ".join(f"{name} {version}" for name, version in made["versions"].items())),
        ("python", made["python"]),
        ("platform", made["platform"]),
        ("processor", ", ".join(filter(None, [made.get("cpu"), f"{made['cores']} cores" if "cores" in made else ""]))),
        *(("device", found) for found in sorted(_found(frame, "device"))),
        *(("data", text) for text in data),
        ("created", made["created"]),
        *_launches(workdir),
    ]


def _found(frame: pd.DataFrame, name: str) -> set[str]:
    return {str(value) for (value,) in columns_of(frame, (name,)) if value is not None}


def _several(frame: pd.DataFrame, name: str) -> list[str]:
    found = sorted(_found(frame, name))
    return found if len(found) > 1 else []


def _launches(workdir: str | os.PathLike) -> Iterator[tuple[str, str]]:
    for launch in launches.load(workdir):
        ended = ", interrupted" if launch["interrupted"] else ""
        lanes = f"{launch['lanes']} lane{'s' * (launch['lanes'] != 1)}"
        yield (
            "launch",
            f"{launch['started']}: {launch['cells_run']} cells in {duration(launch['seconds'])} on {lanes}{ended}",
        )
