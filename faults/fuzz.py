"""Command lines, configs, sweep files and records that nobody meant, and whether a traceback answers them.

A command may end with a status, with lines (UserError), or with what the system said of a file (OSError); nothing else
may escape it, and where it ends with lines it leaves no file behind. Commands run within this process; what would train
is left out.
"""

import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from experiments import files, records
from faults.attempt import attempt
from faults.commands import actions_of, commands
from faults.odd import JSON, READERS, STATEMENTS, SWEEPS
from faults.range import Range
from tests.experiments import tiny


def sweep_files() -> st.SearchStrategy[str]:
    """Sweep files in which a function gives something else, or does."""
    names = st.sampled_from([name for name in SWEEPS for _ in SWEEPS[name]])
    gives = names.flatmap(lambda name: st.sampled_from(SWEEPS[name]).map(lambda said: (name, f"    return {said}")))
    does = st.tuples(names, st.sampled_from(STATEMENTS).map(lambda said: f"    {said}"))
    sizes = st.sampled_from(["", "", "", "SIZES = 3", "SIZES = {}", "SIZES = {'a': 1}", "SIZES = {3: 4}"])

    def text(drawn):
        (name, body), size = drawn
        head = f"def {name}({'hyper' if name == 'get_hyper' else ''}):\n"
        imports = "from experiments.claims import *\nfrom experiments.figure_spec import *\n"
        config = "    c = config.default()\n" if name == "get_config" else ""
        return f"{imports}{tiny.SWEEP}\n\n{size}\n\n{head}{config}{body}\n"

    return st.tuples(st.one_of(gives, gives, does), sizes).map(text)


def spoil(content: Any, rng: random.Random, value: Any) -> Any:
    """A JSON value with one value in it, at any depth, replaced or gone."""
    if not isinstance(content, dict | list) or not content or rng.random() < 0.1:
        return value
    place = rng.choice(list(content)) if isinstance(content, dict) else rng.randrange(len(content))
    changed = content.copy()
    if rng.random() < 0.1:
        del changed[place]
    else:
        changed[place] = spoil(content[place], rng, value)
    return changed


def rewrite(path: Path, content: Any, first: bool) -> None:
    """Writes a record that was spoilt so that its proofs hold, or as the first schema had it, without any."""
    if not isinstance(content, dict):
        content = {"schema": content}
    written = json.dumps(content | {"schema": 1}).encode() if first else files.json_bytes(content)
    path.write_bytes(written)
    if path.name == "summary.json":
        status = records.read_json(path.with_name("status.json"))
        status["files"][path.name] = files.digest(written)
        path.with_name("status.json").write_bytes(files.json_bytes(status))


def read_spoilt(drawn: tuple, mains: dict[str, Callable], place: Range) -> str:
    """Spoils a record, asks a reader, mends it."""
    name, number, value, first, seed = drawn
    rng, workdir = random.Random(seed), place.folder / "run"
    others = sorted(workdir.glob("*/*.json")) + sorted(workdir.glob("cells/*/*.json"))
    path = workdir / "sweep.json" if number % 2 else others[number // 2 % len(others)]
    kept = {other: other.read_bytes() for other in (path, path.with_name("status.json")) if other.is_file()}
    try:
        rewrite(path, spoil(records.read_json(path), rng, value), first)
        return attempt(mains[name], [f"--workdir={workdir}", *READERS.get(name, ())], place)
    finally:
        for other, content in kept.items():
            other.write_bytes(content)


def fuzz(tries: int, seed: int) -> dict[str, Any]:
    """{what is wrong: what first showed it} of so many tries: command lines, sweep files and spoilt records."""
    wrong: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz ü ") as folder:
        place, mains = Range(Path(folder).resolve()), commands()
        kinds = {
            "line": (lines_of(mains, place), lambda drawn: attempt(mains[drawn[0]], drawn[1], place)),
            "sweep file": (sweep_files(), lambda text: launch_text(text, mains["launch"], place)),
            "record": (spoilt_records(readers(mains)), lambda drawn: read_spoilt(drawn, mains, place)),
        }
        shares = ["line"] * 5 + ["sweep file"] * 2 + ["record"] * 3

        @hypothesis.seed(seed)
        @hypothesis.settings(max_examples=tries, **UNSHRUNK)
        @hypothesis.given(st.sampled_from(shares).flatmap(lambda kind: st.tuples(st.just(kind), kinds[kind][0])))
        def once(drawn):
            kind, what = drawn
            if said := kinds[kind][1](what):
                wrong.setdefault(f"{kind}: {said}", what)

        once()
    return wrong


UNSHRUNK = {
    "database": None,
    "deadline": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


def lines_of(mains: dict[str, Callable], place: Range) -> st.SearchStrategy[tuple[str, list[str]]]:
    """Command lines of all commands; launch, which has the most flags, more often."""
    lines = {name: place.lines(name, actions_of(main)) for name, main in mains.items()}
    names = [name for name in mains for _ in range(1 + 4 * (name == "launch"))]
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), lines[name]))


def readers(mains: dict[str, Callable]) -> list[str]:
    """The commands that read a workdir: those of READERS, and any that needs nothing else."""
    needed = {name: {action.dest for action in actions_of(main) if action.required} for name, main in mains.items()}
    return [name for name in mains if name in READERS or needed[name] == {"workdir"}]


def spoilt_records(names: list[str]) -> st.SearchStrategy[tuple]:
    """(reader, which file, what is put in, whether as the first schema, where)."""
    integers = st.integers(0, 2**32)
    return st.tuples(st.sampled_from(names), integers, JSON, st.booleans(), integers)


def launch_text(text: str, launch: Callable, place: Range) -> str:
    """Plans a sweep file."""
    path = place.folder / "odd.py"
    path.write_text(text)
    return attempt(launch, [f"--config={path}", f"--workdir={place.folder / 'odd run'}", "--dry_run"], place)


if __name__ == "__main__":
    tries, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    for said, what in fuzz(tries, seed).items():
        print(f"{said}: {what!r:.300}")
