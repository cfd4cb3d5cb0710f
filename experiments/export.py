"""Records for other tools: python -m experiments.export --workdir=DIR --to=tensorboard|csv|parquet [--out=FOLDER]

tensorboard   a run per cell that has a result: curves, layers, probes, and the axes of the sweep for the HPARAMS tab
csv, parquet  cells, metrics, layers and probes as one flat file each, and columns, which says what is in them

FOLDER, else WORKDIR/export/tensorboard and so on, is written whole or not at all, in place of an earlier export of the
same sweep. The same records give the same files.
"""

import importlib
import os
import shlex
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments import records
from experiments.command import Parser, run, writing
from flax_tx.errors import UserError, nearest

FORMATS = {"tensorboard": ("events", "write"), "csv": ("flat", "write_csv"), "parquet": ("flat", "write_parquet")}
MARK = "export.json"  # what the folder of an export holds


def export(workdir: str | os.PathLike, to: str, out: str | os.PathLike | None = None) -> Path:
    """Writes an export and returns its folder.

    Raises: UserError for an unknown format, one whose package is missing, a folder that is no sweep's, or an `out`
    that holds anything else than an earlier export of the sweep to that format.
    """
    if to not in FORMATS:
        raise UserError(f"--to = {to!r}: expected one of {', '.join(FORMATS)}{nearest(to, FORMATS)}")
    mark = {"sweep": records.sweep(workdir)["name"], "format": to}
    write, out = writer(to), Path(out or Path(workdir) / "export" / to)
    check(out, mark)
    with writing(out), whole(Path(os.path.realpath(out))) as folder:
        write(workdir, folder)
        records.write_json(folder / MARK, mark)
    return out


def writer(to: str) -> Callable[[str | os.PathLike, Path], None]:
    """What writes a format. Raises: UserError with the command that installs what it needs."""
    module, function = FORMATS[to]
    try:
        return getattr(importlib.import_module(f"experiments.exports.{module}"), function)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise UserError(f"--to = {to!r}: needs the package {package}; pip install {package}") from None


def check(out: Path, mark: dict) -> None:
    """Raises: UserError where `out` holds what is not to be replaced."""
    expected = "a new or empty folder, or an earlier export of the same sweep"
    if out.exists() and not out.is_dir():
        raise UserError(f"--out = {str(out)!r}: a file; expected {expected}")
    if out.is_dir() and any(out.iterdir()):
        held = records.read_json(out / MARK) if (out / MARK).is_file() else {}
        if {name: held.get(name) for name in mark} != mark:
            what = f"the export of {held.get('sweep')!r} to {held.get('format')}" if held else "other files"
            raise UserError(f"--out = {str(out)!r}: holds {what}; expected {expected}")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which takes its place when the block has ended well, and else is removed."""
    fresh, stale = (out.with_name(f".{out.name}.{uuid.uuid4().hex[:12]}.{end}") for end in ("tmp", "old"))
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if out.exists():
            out.rename(stale)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(stale, ignore_errors=True)


def main(argv: Sequence[str]) -> None:
    """Exports --workdir and prints the folder."""
    parser = Parser("experiments.export", __doc__)
    parser.add_argument("--to", required=True, help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("--out", help="a folder; default: WORKDIR/export/FORMAT")
    flags = parser.parse_args(argv)
    print(shlex.quote(str(export(flags.workdir, flags.to, flags.out))))


if __name__ == "__main__":
    run(main)
