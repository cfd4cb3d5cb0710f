"""Files: whole or absent, and any changed byte is seen."""

import errno
import json
import os

import numpy as np
import pandas as pd
import pytest

from experiments import files
from experiments.files import RecordError

CONTENT = {
    "x": [np.float32("nan"), np.inf, 1.5],
    "n": np.int64(3),
    "t": (1, 2),
    "é": np.arange(2),
    "h": "\udcff",
    "seal": "old",
}


@pytest.fixture
def path(tmp_path):
    files.write_json(tmp_path / "new" / "a.json", CONTENT)
    return tmp_path / "new" / "a.json"


def test_json_has_a_schema_and_no_nan(path):
    text = path.read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=pytest.fail)
    assert files.read_json(path) == {
        "schema": files.SCHEMA,
        "x": [None, None, 1.5],
        "n": 3,
        "t": [1, 2],
        "é": [0, 1],
        "h": r"\udcff",
    }
    assert read == files.read_json(path) | {"seal": files.digest(text[: text.index(' "seal"')].encode())}
    assert "é" in text


def test_what_was_read_can_be_written_again_to_the_same_bytes(path):
    before = path.read_bytes()
    files.write_json(path, files.read_json(path))
    assert path.read_bytes() == before


def test_every_flipped_bit_is_seen(path):
    content = path.read_bytes()
    for place in range(8 * len(content)):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(RecordError, match=r"a\.json: "):
            files.read_json(path)


def test_every_truncation_and_every_addition_is_seen(path):
    content = path.read_bytes()
    for changed in (*(content[:length] for length in range(len(content))), content + b"\n", b" " + content):
        path.write_bytes(changed)
        with pytest.raises(RecordError):
            files.read_json(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"schema": 1, "x"', "damaged (Expecting"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[1]", "it is no record"),
        (b"{}", "it is no record"),
        (b'{"schema": true}', "it is no record"),
        (b'{"schema": 99}', "schema 99: expected 1 to 2; another version wrote it"),
        (b'{"schema": 2, "x": 1}', "changed after it was written"),
    ],
)
def test_a_torn_or_foreign_file_is_one_line_that_names_it(tmp_path, content, expected):
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(RecordError) as error:
        files.read_json(tmp_path / "status.json")
    assert len(error.value.problems) == 1 and "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'status.json'}: ") and expected in str(error.value)


def test_a_newer_version_that_is_whole_is_refused_by_name(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files, "SCHEMA", files.SCHEMA + 1)
        files.write_json(path, CONTENT)
    with pytest.raises(RecordError, match=r"schema 3: expected 1 to 2; another version wrote it"):
        files.read_json(path)


def test_the_first_schema_had_no_seal_and_stays_readable(path):
    path.write_text('{"schema": 1, "x": 1}')
    assert files.read_json(path) == {"schema": 1, "x": 1}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, code):
    def full(descriptor):
        raise OSError(code, os.strerror(code))

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(code)) as error:
        files.write_json(path, {"x": 2})
    assert (error.value.errno, error.value.filename) == (code, str(path))
    line = files.trouble(error.value)
    assert line.startswith(f"{path}: cannot be read or written ({os.strerror(code)})") and "\n" not in line
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_files_are_readable_by_the_group_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_parquet_keeps_what_is_not_finite(tmp_path):
    columns = {"step": np.arange(3), "train_loss": np.array([1.0, np.nan, np.inf], np.float32)}
    files.write_parquet(tmp_path / "m.parquet", columns)
    read = pd.read_parquet(tmp_path / "m.parquet")
    np.testing.assert_array_equal(read.train_loss.to_numpy(), columns["train_loss"])
    assert read.train_loss.dtype == np.float32


def test_bytes_are_proved_before_anything_looks_at_them(tmp_path):
    content = files.parquet_bytes({"step": np.arange(3)})
    (tmp_path / "m.parquet").write_bytes(content)
    assert files.read_bytes(tmp_path / "m.parquet", files.digest(content)) == content
    with pytest.raises(RecordError, match="not the bytes that were written"):
        files.read_bytes(tmp_path / "m.parquet", files.digest(b""))
