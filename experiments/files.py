"""Files that are whole or not there, and that say themselves whether they are what was written.

The last line of a JSON object proves all bytes before it; any reader of JSON can read the file, and no changed byte
goes unseen:

    {
     "schema": 2,
     ...,
     "seal": "<SHA-256 of everything above this line>"
    }

NaN and infinities are null in JSON. Files of schema 1 have no such line; they are read without that proof.
"""

import errno
import hashlib
import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flax_tx.errors import UserError

SCHEMA, FIRST = 2, 1  # what is written, and the oldest that is read
SEAL = b' "seal": "'
MEND = {
    errno.ENOSPC: "make room, then the same command continues",
    errno.EDQUOT: "make room, then the same command continues",
    errno.ENOENT: "its folder is gone; nothing was written in its place",
}


class RecordError(UserError):
    """A record that cannot be believed: nobody's mistake in what was asked, and never the result of a cell."""

    status = 1


def trouble(error: OSError) -> str:
    """What the system said of a file, in a line, with the mend where there is one."""
    named = f"{error.filename}: " if error.filename else ""
    mend = f"; {MEND[error.errno]}" if error.errno in MEND else ""
    return f"{named}cannot be read or written ({error.strerror or error}){mend}"


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it (so the rename is atomic), fsync, rename.

    Raises: OSError that names the file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def plain(value: Any) -> Any:
    """`value` as JSON can say it: arrays and tuples are lists, non-finite numbers null, half a character its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text_bytes(text: str) -> bytes:
    """UTF-8; what it cannot say is escaped."""
    return text.encode("utf-8", "backslashreplace")


def json_bytes(obj: Mapping) -> bytes:
    """One JSON object with "schema" first and its seal last."""
    content = {name: value for name, value in obj.items() if name not in ("schema", "seal")}
    text = json.dumps(plain({"schema": SCHEMA, **content}), indent=1, ensure_ascii=False, allow_nan=False)
    head = text_bytes(text.removesuffix("\n}") + ",\n")
    return sealed(head)


def sealed(head: bytes) -> bytes:
    """The bytes with the line that proves them."""
    return head + SEAL + digest(head).encode() + b'"\n}\n'


def digest(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def parquet_bytes(columns: Mapping[str, Any]) -> bytes:
    """Equally long columns; NaN and infinities stay what they are."""
    table = pa.table({name: pa.array(np.asarray(column), from_pandas=False) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text_bytes(text))


def write_json(path: str | os.PathLike, obj: Mapping) -> None:
    """Writes one JSON object atomically; adds "schema" and its seal."""
    write_bytes(path, json_bytes(obj))


def write_parquet(path: str | os.PathLike, columns: Mapping[str, Any]) -> None:
    """Writes equally long columns atomically."""
    write_bytes(path, parquet_bytes(columns))


def read_bytes(path: str | os.PathLike, expected: str | None = None) -> bytes:
    """A file, and with `expected` only if that is its SHA-256. Raises: RecordError, one line that names the file."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise RecordError(f"{path}: damaged (it is not there)") from None
    except OSError as error:
        raise RecordError(f"{path}: unreadable ({error.strerror})") from None
    if expected not in (None, digest(content)):
        raise RecordError(f"{path}: damaged (these are not the bytes that were written)")
    return content


def read_json(path: str | os.PathLike) -> dict:
    """One JSON object. Raises: RecordError, one line that names the file, when it is absent, torn, changed or newer."""
    return parse_json(path, read_bytes(path))


def parse_json(path: str | os.PathLike, content: bytes) -> dict:
    """The same of the bytes of that file; without its seal."""
    head, seal, _ = content.rpartition(SEAL)
    whole = bool(seal) and content == sealed(head)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or not UTF-8
        raise RecordError(f"{path}: damaged ({error})") from None
    if not isinstance(value, dict) or type(value.get("schema")) is not int:
        raise RecordError(f"{path}: expected an object with a schema of {FIRST} to {SCHEMA}; it is no record")
    if not FIRST <= value["schema"] <= SCHEMA and (whole or "seal" not in value):
        raise RecordError(f"{path}: schema {value['schema']}: expected {FIRST} to {SCHEMA}; another version wrote it")
    if not whole and (value["schema"] != FIRST or "seal" in value):
        raise RecordError(f"{path}: damaged (it was changed after it was written)")
    return {name: item for name, item in value.items() if name != "seal"}


def parse_parquet(path: str | os.PathLike, content: bytes) -> pd.DataFrame:
    """The table in the bytes of that file. Raises: RecordError, one line that names the file."""
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            return file.read().to_pandas()
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(f"{path}: damaged ({reason})") from None
