"""Command lines, configs, sweep files and records that nobody meant, and whether a traceback answers them.

A command may end with a status, with lines (UserError), or with what the system said of a file (OSError); nothing else
may escape it, and where it ends with lines it leaves no file behind. Commands run within this process; what would train
is left out.
"""

import argparse
import contextlib
import dataclasses
import importlib
import io
import json
import os
import pkgutil
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

import experiments
from experiments import command, files, records, rerun, running
from experiments.claims import Claim, Fails, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.metrics import METRICS
from faults.odd import JSON, ODD, READERS, STATEMENTS, SWEEPS
from flax_tx.config import knobs
from flax_tx.errors import UserError
from tests.experiments import synthetic, tiny

CONFIGURED = ("launch", "why")  # commands that take --config.FIELD=VALUE
PATIENCE = 20.0  # seconds of a command; those that watch or serve end as on Ctrl-C
WIRING, DEPTH = "model.wiring", "model.num_layers"
DECLARED = {  # in a sweep.json, beside what the synthetic one has
    "tables": [synthetic.TABLE.to_json(), dataclasses.replace(synthetic.TABLE, title="Again", baseline=None).to_json()],
    "figure": Figure((Panel("val_loss", DEPTH), Panel("train_loss"))).to_json(),
    "claims": [
        Claim(
            "A", "Post-LN fails", "s", "training", (Fails({WIRING: "post"}), Trains({WIRING: "pre", DEPTH: 6}))
        ).to_json(),
        Claim(
            "B",
            "better",
            "s",
            "training",
            (Greater(*(Quantity("val_loss", {WIRING: w, DEPTH: 6}) for w in ("post", "pre"))),),
        ).to_json(),
    ],
}


def commands() -> dict[str, Callable]:
    """Name -> main of every module of experiments that is a command."""
    found = {}
    for module in pkgutil.iter_modules(experiments.__path__):
        path = Path(experiments.__path__[0]) / f"{module.name}.py"
        if path.is_file() and "run(main)" in path.read_text():
            found[module.name] = importlib.import_module(f"experiments.{module.name}").main
    return found


class Captured(Exception):
    """The parser of a command."""


def actions_of(main: Callable) -> list[argparse.Action]:
    """The options and arguments of a command."""

    def capture(self, *_):
        raise Captured(self)

    with mock.patch.object(command.Parser, "parse_known_args", capture):
        try:
            main([])
        except Captured as captured:
            return [action for action in captured.args[0]._actions if action.dest != "help"]
    raise AssertionError("a command without a Parser")


class Range:
    """A folder of workdirs and sweep files in which commands are tried."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.workdirs = [*self.sound(), *self.spoilt()]
        self.configs = [tiny.write(folder), str(folder / "torn.py"), str(folder / "none.py"), str(folder)]
        (folder / "torn.py").write_text("def get_config(:\n")
        self.cells = [path.name for path in (folder / "run").glob("cells/*")][:3]

    def sound(self) -> Iterator[str]:
        """Workdirs as commands write them."""
        few = {"norms": ("layernorm",), "depths": (6, 12), "rates": (1e-3,), "seeds": (0, 1)}
        manifest = synthetic.write(self.folder / "run", wirings=("pre", "post"), **few)
        records.write_json(self.folder / "run" / "sweep.json", manifest | DECLARED)
        records.write_json(self.folder / "run" / "launches" / "1.json", {"seconds": 1.0, "git": {}})
        synthetic.write(self.folder / "none of it ü", **few, wirings=("pre",), end_of=lambda overrides: "missing")
        yield from (str(self.folder / name) for name in ("run", "none of it ü"))

    def spoilt(self) -> Iterator[str]:
        """What else a user may point at."""
        (self.folder / "empty").mkdir()
        (self.folder / "file").write_text("x")
        (self.folder / "loop").symlink_to("loop")
        torn = shutil.copytree(self.folder / "run", self.folder / "torn")
        for number, path in enumerate(sorted(torn.rglob("*.*"))):
            if number % 3 == 0 and path.name != "sweep.json":
                path.write_bytes(path.read_bytes()[:-9])
        shutil.copytree(self.folder / "run", self.folder / "headless")
        (self.folder / "headless" / "sweep.json").write_bytes(b"{")
        names = ("empty", "file", "loop", "torn", "headless", "absent", "absent/deep", "file/under", "run/cells")
        yield from (str(self.folder / name) for name in names)

    def words(self) -> st.SearchStrategy[str]:
        """Texts that a flag may be given: names that exist, odd ones, and any."""
        fields = ["model.wiring", "model.num_layers", "optim.learning_rate", "seed.init", "wiring"]
        wheres = [f"{field}={value}" for field in fields for value in ("pre", "12", "pre|post", "x")]
        names = [*METRICS, *fields, *wheres, *self.cells, "1", "2", "0.9", "val_loss", "train_loss"]
        outs = ["a.png", "b.svg", "c.pdf", "d.html", "new/e.png", "f.txt", "file/g.png", "empty", "out"]
        return st.one_of(st.sampled_from([*names, *outs]), st.sampled_from(ODD), st.text(max_size=12))

    def value(self, name: str, action: argparse.Action) -> st.SearchStrategy[str]:
        """Texts for an option: mostly what its help names, or what its type asks for."""
        if action.dest in ("workdir", "config"):
            usual = {"config": self.configs[0], "workdir": self.workdirs[0]}[action.dest]
            usual = str(self.folder / "new run ü") if (name, action.dest) == ("launch", "workdir") else usual
            return st.sampled_from([usual] * 60 + self.workdirs + self.configs + [*ODD])
        if action.type in (int, float):
            return st.one_of(
                st.sampled_from(["0", "1", "-1", "2"]), st.floats().map(str), st.integers().map(str), self.words()
            )
        said = re.findall(r"[\w.]+(?:=[\w.|]+)?", str(action.help))
        outs = st.sampled_from(["a.png", "b.svg", "new/e.pdf", "file/g.png", "out", "d.html"])
        return st.one_of(
            st.sampled_from(said or [""]), outs if action.type else st.sampled_from(said or [""]), self.words()
        )

    def option(self, name: str, action: argparse.Action) -> st.SearchStrategy[list[str]]:
        """One option or argument, as words of a command line."""
        if not action.option_strings:
            return st.lists(st.one_of(st.sampled_from(self.cells), self.words()), min_size=1, max_size=3)
        flag, value = action.option_strings[0], self.value(name, action)
        if action.nargs == 0:
            return st.just([flag])
        return st.one_of(value.map(lambda text: [f"{flag}={text}"]), value.map(lambda text: [flag, text]))

    def lines(self, name: str, actions: Sequence[argparse.Action]) -> st.SearchStrategy[list[str]]:
        """Command lines of a command: what it needs, some of what it may have, seldom something else."""
        needed = [self.option(name, action) for action in actions if action.required]
        more = [self.option(name, action) for action in actions] + [self.fields()] * (8 if name in CONFIGURED else 0)
        strays = st.one_of(self.words().map(lambda text: [text]), st.sampled_from([["--help"], ["--workdi=x"]]))
        parts = [st.tuples(*needed), st.lists(st.one_of(*more), max_size=3)]
        usual = st.tuples(*parts).map(lambda two: [*two[0], *two[1]])
        odd = st.tuples(usual, st.lists(strays, max_size=2)).map(lambda two: [*two[0], *two[1]][-5:])
        lines = st.integers(0, 7).flatmap(lambda dice: odd if dice == 0 else usual)
        return lines.map(lambda found: [text for part in found for text in part]).filter(self.stays)

    def fields(self) -> st.SearchStrategy[list[str]]:
        """Fields of a config, by name or nearly, with values of their type, of another, or of none."""
        names = st.sampled_from(
            [*knobs(), "model", "model.widht", "", "model.norm", "seed", "__class__", "model..width"]
        )
        values = st.one_of(
            st.sampled_from(
                [*ODD, "pre", "rmsnorm", "kjv", "markov1", "((1, 2),)", "[{'num_heads': 2}]", "{1: 2}", "(1,)"]
            ),
            st.integers(-(2**70), 2**70).map(str),
            st.floats().map(str),
            st.text(max_size=8),
            st.recursive(st.integers(-2, 9), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6).map(
                str
            ),
        )
        return st.tuples(names, values).map(lambda two: [f"--config.{two[0]}={two[1]}"])

    def stays(self, argv: Sequence[str]) -> bool:
        """Whether no word leads out of the folder: the trial must not write elsewhere, whatever a command does."""
        words = [part for text in argv for part in (text, text.partition("=")[2]) if part]
        outside = [word for word in words if word.startswith(("/", "~")) or ".." in word.split("/")]
        return all(word.startswith(str(self.folder)) for word in outside)

    def listing(self) -> set[str]:
        """Every file in the folder."""
        return {os.path.relpath(path, self.folder) for path in self.folder.rglob("*")}


def attempt(main: Callable, argv: list[str], place: Range) -> str:
    """What is wrong with how a command ends, in a line; nothing if it ends as it may."""
    before = place.listing()
    try:
        with quiet(place):
            main(argv)
    except UserError as error:
        if left := place.listing() - before:
            return f"left {sorted(left)[:3]} behind"
        if any("\n" in line or not line.strip() for line in error.problems) or not error.problems:
            return f"lines that are none: {error.problems!r:.200}"
    except (OSError, KeyboardInterrupt, Captured):
        return ""
    except SystemExit as end:
        return "" if "--help" in argv and not end.code else f"SystemExit({end.code!r})"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {str(error)[:120]!r}"
    return ""


@contextlib.contextmanager
def quiet(place: Range) -> Iterator[None]:
    """Within the folder, without output, without training, and not for ever."""

    def late(*_):
        raise KeyboardInterrupt

    before, here = signal.signal(signal.SIGALRM, late), Path.cwd()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    os.chdir(place.folder)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            mock.patch.multiple(running, train=mock.DEFAULT, follow=mock.DEFAULT, join=mock.DEFAULT),
            mock.patch.object(rerun, "train", return_value=()),
        ):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.chdir(here)


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
