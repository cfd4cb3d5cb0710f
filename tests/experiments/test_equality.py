"""Equality to the bit: what is equal, and where what is not differs."""

import numpy as np
import pytest

from experiments import records
from experiments.equality import compare

STATUS = {"status": "diverged", "step": 3, "reason": "loss", "finished": "then", "seconds": 1.0}
SUMMARY = {"val_loss": 0.1 + 0.2, "params": 7, "train_seconds": 2.0, "device": "cpu", "commit": "a"}
METRICS = {"step": np.arange(4), "train_loss": np.array([2.0, 1.5, -0.0, np.nan], np.float32)}
PROBES = {"quantity": ["loss", "norm"], "index": [0, 1], "head": [0, 2], "value": [1.0, 2.0]}


def write(folder, metrics=METRICS, summary=SUMMARY, status=STATUS, probes=PROBES):
    records.write_result(folder, "c", metrics, None, summary, status, probes=probes)
    return folder


def differences(one, two):
    return {found.part: found.difference for found in compare("c", one, two) if found.difference}


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    return write(tmp_path / "one"), write(tmp_path / "two")


def test_times_and_what_made_it_are_no_part_of_a_result(pair):
    write(pair[1], summary=SUMMARY | {"train_seconds": 3.0, "device": "gpu", "commit": "b"})
    write(pair[1], status=STATUS | {"finished": "now", "seconds": 2.0})
    assert [found.part for found in compare("c", *pair)] == ["status", "summary", "metrics.parquet", "probes.parquet"]
    assert differences(*pair) == {}


def test_the_last_bit_of_a_number_is_seen(pair):
    write(pair[1], summary=SUMMARY | {"val_loss": 0.3})
    assert differences(*pair) == {"summary": "val_loss 0.3 was 0.30000000000000004"}


@pytest.mark.parametrize(
    ("row", "value", "said"),
    [
        (1, 1.25, "train_loss first at step 1: 1.25 was 1.5 (in 1 of 4 rows, by at most 0.25)"),
        (2, 0.0, "train_loss first at step 2: 0.0 was -0.0 (in 1 of 4 rows, by at most 0)"),
        (3, 1.0, "train_loss first at step 3: 1.0 was nan (in 1 of 4 rows, by at most nan)"),
    ],
)
def test_the_first_step_that_differs_is_named(pair, row, value, said):
    loss = METRICS["train_loss"].copy()
    loss[row] = value
    write(pair[1], metrics=METRICS | {"train_loss": loss})
    assert differences(*pair) == {"metrics.parquet": said}


def test_the_entry_of_a_probe_that_differs_is_named(pair):
    write(pair[1], probes=PROBES | {"value": [1.0, 2.5]})
    said = "value first at quantity norm, index 1, head 2: 2.5 was 2.0 (in 1 of 2 rows, by at most 0.5)"
    assert differences(*pair) == {"probes.parquet": said}


def test_rows_and_types_and_files_that_are_not_the_same(pair):
    write(pair[1], metrics={name: column[:3] for name, column in METRICS.items()}, probes=None)
    assert differences(*pair) == {
        "metrics.parquet": "3 rows of step, train_loss were 4 rows of step, train_loss",
        "probes.parquet": "is not there any more",
    }
    write(pair[1], metrics=METRICS | {"train_loss": METRICS["train_loss"].astype(np.float64)})
    assert differences(*pair).keys() == {"metrics.parquet"}


def test_another_end_is_said(pair):
    write(pair[1], status=STATUS | {"step": 4})
    assert differences(*pair) == {"status": "step 4 was 3"}
