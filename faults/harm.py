"""Harm done to the files of a workdir, and whether anybody believes them afterwards."""

import os
from pathlib import Path

from experiments import check, launches, records
from flax_tx.errors import UserError

LOADERS = (records.load_metrics, records.load_layers, records.load_probes)


def flip(rng, content):
    """One bit is another."""
    changed = bytearray(content)
    changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng, content):
    """The end is gone."""
    return content[: rng.randrange(len(content))]


def blank(rng, content):
    """A block that never reached the disk; unlike before, should it have been of zeros."""
    start = rng.randrange(len(content))
    return content[:start] + b"\0" * min(512, len(content) - start) + content[start + 512 :]


def gone(rng, content):
    """The file is not there."""
    return


HARMS = (flip, flip, flip, cut, cut, blank, gone)


class Sound:
    """A workdir as it was, to compare with."""

    def __init__(self, workdir):
        self.workdir = Path(workdir)
        self.files = sorted(
            path for path in self.workdir.rglob("*") if path.suffix in (".json", ".parquet", ".txt") and path.is_file()
        )
        self.frame = records.load(workdir)
        self.launches = launches.load(workdir)
        self.tables = [load(workdir) for load in LOADERS]

    def try_one(self, rng):
        """Harms a random file, asks every reader, mends it. Returns what was not noticed, or nothing."""
        path, harm = rng.choice(self.files), rng.choice(HARMS)
        content = path.read_bytes()
        harmed = harm(rng, content)
        path.unlink() if harmed is None else path.write_bytes(harmed)
        try:
            wrong = "" if harmed == content else self.unnoticed(path, harm)
        finally:
            path.write_bytes(content)
        return wrong and f"{harm.__name__} of {path.relative_to(self.workdir)}: {wrong}"

    def spoil(self, rng, cells):
        """Harms a file of the result of each of the cells, for good."""
        for cell in cells:
            path = rng.choice([p for p in self.files if p.parent.name == cell and p.name != "status.json"])
            path.write_bytes(flip(rng, path.read_bytes()))

    def unnoticed(self, path, harm):
        """What a reader believes of a workdir in which this file was harmed."""
        if not self.named(path, harm):
            return "not found by check"
        if path.name == "sweep.json":
            return believed(records.load, self.workdir)
        if path.parent.name == "launches":
            return "" if harm is gone else believed(launches.load, self.workdir)
        frame, cell = records.load(self.workdir), path.parent.name
        if frame.status[cell] not in records.ABSENT:
            return f"its cell is {frame.status[cell]}"
        others = [name for name in frame.index if name != cell]
        if not frame.loc[others, self.frame.columns].astype(object).equals(self.frame.loc[others].astype(object)):
            return "another cell changed"
        fields = [name for name in self.frame if "." in name]
        if not frame[fields].equals(self.frame[fields]):
            return "a config changed"
        for load, before in zip(LOADERS, self.tables, strict=True):
            after = load(self.workdir)
            if not same(after[after["cell"] != cell], before[before["cell"] != cell]):
                return f"{load.__name__} changed"
            if (mine := (after["cell"] == cell)).any() and not same(after[mine], before[before["cell"] == cell]):
                return f"{load.__name__} of the cell changed"
        return ""

    def named(self, path, harm):
        """Whether check names the file: one that is gone from launches/ was never known, and leaves nothing."""
        if harm is gone and path.name == "sweep.json":
            return believed(lambda workdir: list(check.check(workdir)), self.workdir) == ""
        if harm is gone and path.parent.name == "launches":
            return True
        found = {one.path for one in check.check(self.workdir)}
        if harm is gone and path.name == "status.json":  # what it proved is left over
            return found == {other for other in self.files if other.parent == path.parent} - {path} - config(path)
        return path in found


def same(one, two):
    """Whether two frames have the same rows, whatever their index."""
    return one.astype(object).reset_index(drop=True).equals(two.astype(object).reset_index(drop=True))


def config(path):
    """The config beside a file, which proves itself."""
    return {path.with_name("config.json")}


def believed(load, workdir):
    """A word if that loads, which it should not."""
    try:
        load(workdir)
    except UserError:
        return ""
    return "it was read"


def left_behind(workdir):
    """The temporary files of a workdir."""
    return [os.fspath(path) for path in Path(workdir).rglob(".*.tmp")]
