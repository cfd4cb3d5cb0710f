"""A workdir that is a URL (s3://, gs://, ...): mirrored here, fetched before it is read, pushed as its cells end.

    ~/.cache/flax_tx/mirrors/s3/bucket/runs/depth     is    s3://bucket/runs/depth

Whatever fsspec reads and writes will do; a protocol may need a package of its own (s3fs, gcsfs). What is carried are
the records: sweep.json, launches/, cells/. A record is written once, so carrying merges. Checkpoints, logs and leases
stay where they are: launchers on two machines do not see each other, and may train a cell twice, to the same numbers.
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from experiments import files, records, shapes
from experiments.files import RecordError
from flax_tx.errors import UserError

MIRRORS = Path("~/.cache/flax_tx/mirrors").expanduser()
URL = re.compile(r"(?P<protocol>[a-z][a-z0-9+]*)://(?P<path>[^\0]+)")
CARRIED = re.compile(rf"sweep\.json|launches/[\w.-]+\.json|cells/{shapes.ID.pattern}/[\w-]+\.(json|parquet|txt)")
STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created", "size")  # what stores say of a version
ROOTED = ("file", "local")  # protocols whose paths begin at the root, and whose folders must be made
BATCH = 64  # results that are fetched at once


def local(workdir: str) -> str:
    """The folder of a workdir: itself, or the mirror of a URL, fetched. Raises: UserError where it cannot be read."""
    if not (found := URL.fullmatch(workdir)):
        return workdir
    folder = MIRRORS / found["protocol"] / found["path"].strip("/")
    if ".." in folder.parts:
        raise UserError(f"workdir {workdir!r:.80}: expected a URL without ..")
    Mirror(workdir, folder).fetch()
    return str(folder)


def push(workdir: str, cells: Iterable[str] | None = None) -> None:
    """Writes to the URL of a mirror what that lacks: the results of `cells`, or everything. Else does nothing.

    Raises: RecordError where it cannot be written.
    """
    if Path(workdir).is_relative_to(MIRRORS):
        protocol, *path = Path(workdir).relative_to(MIRRORS).parts
        Mirror(f"{protocol}://{'/' * (protocol in ROOTED)}{'/'.join(path)}", Path(workdir)).push(cells)


class Mirror:
    """A URL, the folder that mirrors it, and what was carried between them: file -> [stamp there, hash]."""

    def __init__(self, url: str, folder: Path):
        self.url, self.folder = url, folder
        self.memory = MIRRORS / ".carried" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.json"
        with troubles(UserError, f"workdir {url!r:.80}: cannot be opened"):
            from fsspec.core import url_to_fs  # only who has a URL waits for it

            self.store, root = url_to_fs(url, **({"auto_mkdir": True} if url.startswith(ROOTED) else {}))
        self.root = root.rstrip("/")

    def fetch(self) -> None:
        """Brings what is new under the URL; a result whole, or not at all. Raises: UserError."""
        with troubles(UserError, f"workdir {self.url!r:.80}: cannot be read"):
            there, carried = self.listing(), self.carried()
            new = {part(name) for name in there if there[name] != carried.get(name, [None])[0] or not self.has(name)}
            for names in batches(there, new):
                content = self.store.cat([f"{self.root}/{name}" for name in names])
                content = {name: content[f"{self.root}/{name}"] for name in names}
                self.lay_down(content)
                carried |= {name: [there[name], files.digest(content[name])] for name in names}
            self.remember(carried)

    def push(self, cells: Iterable[str] | None) -> None:
        """Writes what the URL is not known to have, the status of a cell last. Raises: RecordError."""
        carried = self.carried()
        try:
            with troubles(RecordError, f"{self.url}: cannot be written; the same command goes on"):
                for name in self.mine() if cells is None else self.results(cells):
                    content = (self.folder / name).read_bytes()
                    if carried.get(name, [None, None])[1] != files.digest(content):
                        self.store.pipe_file(f"{self.root}/{name}", content)
                        carried[name] = [None, files.digest(content)]
        finally:
            self.remember(carried)

    def listing(self) -> dict[str, str]:
        """What lies under the URL, each with what the store says of its version."""
        self.store.invalidate_cache()
        found = {name[len(self.root) + 1 :]: about for name, about in self.store.find(self.root, detail=True).items()}
        return {name: stamp(about) for name, about in found.items() if CARRIED.fullmatch(name)}

    def lay_down(self, content: Mapping[str, bytes]) -> None:
        """Writes files as they lie under the URL."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for where, names in parts(content).items():
            if where in content:
                records.write_bytes(self.folder / where, content[where])
            else:
                records.write_files(self.folder, Path(where).name, {Path(name).name: content[name] for name in names})

    def mine(self) -> Iterator[str]:
        """The files here that are carried."""
        cells = sorted(path.parent.name for path in self.folder.glob("cells/*/config.json"))
        yield from (f"cells/{cell}/config.json" for cell in cells)
        yield from self.results(cells)
        for path in (*self.folder.glob("launches/*.json"), *self.folder.glob("sweep.json")):
            yield path.relative_to(self.folder).as_posix()

    def results(self, cells: Iterable[str]) -> Iterator[str]:
        """The files of the results of cells that have one."""
        for cell in sorted(records.finished(self.folder, cells)):
            names = (f"cells/{cell}/{name}" for name in (*records.RESULT[1:], records.RESULT[0]))
            yield from filter(self.has, names)

    def has(self, name: str) -> bool:
        """Whether a file is here."""
        return (self.folder / name).is_file()

    def carried(self) -> dict[str, list]:
        """What the folder and the URL are known to have in common."""
        try:
            return records.read_json(self.memory)["files"]
        except (RecordError, KeyError):
            return {}

    def remember(self, carried: Mapping[str, list]) -> None:
        """Keeps what was carried; without it everything is carried anew."""
        records.write_json(self.memory, {"url": self.url, "files": carried})


def part(name: str) -> str:
    """What a file belongs to: the folder of a cell for a file of its result, which is one; else itself."""
    path = Path(name)
    return path.parent.as_posix() if path.parts[0] == "cells" and path.name in records.RESULT else name


def parts(names: Iterable[str]) -> dict[str, list[str]]:
    """The files of each part."""
    found = defaultdict(list)
    for name in names:
        found[part(name)].append(name)
    return found


def batches(there: Iterable[str], new: set[str]) -> Iterator[list[str]]:
    """The files of the parts that are new; not of a result that is being written, whose status is not there yet."""
    whole = (names for where, names in parts(there).items() if where in new and complete(where, names))
    while batch := [*itertools.islice(whole, BATCH)]:
        yield [name for names in batch for name in names]


def complete(where: str, names: Iterable[str]) -> bool:
    """Whether a part is there."""
    return where in names or f"{where}/status.json" in names


def stamp(about: Mapping) -> str:
    """What a store says of a file that is otherwise for another version of it."""
    return repr([about[name] for name in STAMPS if name in about])


@contextmanager
def troubles(kind: type[UserError], said: str) -> Iterator[None]:
    """What goes wrong within is one line. Every store has errors of its own, so that there is no list of them."""
    try:
        yield
    except Exception as error:
        raise kind(f"{said} ({type(error).__name__}: {' '.join(str(error).split())[:200]})") from None
