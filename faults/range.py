"""Where commands are tried: workdirs and sweep files, sound and spoilt, and the command lines that name them."""

import argparse
import dataclasses
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypothesis import strategies as st

from experiments import records
from experiments.claims import Claim, Fails, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.metrics import METRICS
from faults.odd import ODD
from flax_tx.config import knobs
from tests.experiments import synthetic, tiny

CONFIGURED = ("launch", "why")  # commands that take --config.FIELD=VALUE
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
