"""A workdir as four flat frames, one type per column, and what every column is."""

import json
import os
import types
from collections.abc import Iterator
from typing import Any, get_args

import pandas as pd

from experiments import records
from experiments.metrics import METRICS
from flax_tx.config import knobs

DTYPES = {bool: "boolean", int: "Int64", float: "float64", str: "str", tuple: "str"}  # what is None is missing
RECORDED = {  # columns of `cells` beside the config and the numbers of summary.json: type, meaning
    "cell": ("str", "id of the cell, the hash of its config"),
    "program": ("str", "id of the program, cells of which share a compilation"),
    "arm": ("str", "the name that the sweep gives its arm"),
    "status": ("str", f"one of {', '.join((*records.STATUSES, records.MISSING))}"),
    "step": ("Int64", "the first bad step, counted from 1, of a diverged cell"),
    "reason": ("str", "why it is stuck, diverged or failed"),
    "finished": ("str", "when it ended, UTC"),
    "seconds": ("float64", "how long it took, s"),
    "device": ("str", "what it ran on"),
    "group": ("float64", "how many cells trained together with it, itself included"),
    "precision": ("str", "in which float32 products were made"),
    "commit": ("str", "of the code that ran it"),
    "jax": ("str", "version of JAX that ran it"),
}
NUMBERS = {
    **{name: f"{METRICS[name].name}, {METRICS[name].unit}" for name in records.NUMBERS if name in METRICS},
    "val_loss_se": "standard error of val_loss over sequences",
    "test_loss_se": "standard error of test_loss over sequences",
    "unigram_loss": "H1: the unigram entropy of the data, nats",
    "floor_loss": "H*: the entropy rate of the data where it is known, nats",
}
CURVES = {
    "cell": "id of the cell",
    "step": "steps taken, counted from 1",
    "layer": "layer, counted from 1; an encoder's come before its decoder's",
    "train_loss": "loss of the step's batch, nats",
    "grad_norm": "norm of the gradient, before clipping",
    "learning_rate": "learning rate of the step",
    "quantity": "what was probed: docs/claims.md",
    "index": "sublayer or layer, counted from 0",
    "head": "attention head, counted from 1; 0 where there are none",
    "value": "the number",
}
DIAGNOSTICS = {  # by the last part of their names; the first is the sublayer
    "stream_rms": "RMS of the stream before the sublayer",
    "branch_rms": "RMS of the sublayer's branch",
    "branch_to_stream": "RMS of the branch over RMS of the stream",
    "cosine": "cosine between the stream before and after the sublayer",
    "attention_logit_max": "largest attention logit",
    "attention_entropy": "mean entropy of the attention weights, nats",
    "grad_rms": "RMS of the gradient of all parameters of the layer",
    "update_to_param": "RMS of the update over RMS of the parameters of the layer",
}


def frames(workdir: str | os.PathLike) -> dict[str, pd.DataFrame]:
    """cells, metrics, layers and probes of a workdir, as experiments.records loads them, and `columns`.

    In `cells` the index is a column, every column has one type whatever its values are (None is missing), and what is
    a list, such as model.segments, is JSON. `columns` says of each column its file, type and meaning.
    Raises: UserError for a folder that is no sweep's, or a torn file.
    """
    found = {
        "cells": cells(workdir),
        "metrics": records.load_metrics(workdir),
        "layers": records.load_layers(workdir),
        "probes": records.load_probes(workdir),
    }
    lines = [line for name, frame in found.items() for line in described(name, frame)]
    return found | {"columns": pd.DataFrame(lines, columns=["file", "column", "type", "meaning"])}


def cells(workdir: str | os.PathLike) -> pd.DataFrame:
    """`records.load` with one type per column."""
    frame = records.load(workdir).reset_index()
    return pd.DataFrame({name: typed(frame[name], dtype_of(name)) for name in frame})


def dtype_of(name: str) -> str:
    """The type of a column of `cells`; text for a field that this version does not know."""
    if name in knobs():
        kinds = get_args(knobs()[name].type) or (knobs()[name].type,)
        return next(DTYPES[kind] for kind in kinds if kind is not types.NoneType)
    return "float64" if name in NUMBERS else RECORDED.get(name, ("str", ""))[0]


def typed(column: pd.Series, dtype: str) -> pd.Series:
    """The column in a type; what is None or NaN is missing."""
    values = [None if value is None or value != value else value for value in column.astype(object)]
    return pd.Series([text(value) for value in values] if dtype == "str" else values, dtype=dtype)


def text(value: Any) -> str | None:
    """Text as UTF-8 can hold it; anything else as JSON."""
    if value is None:
        return None
    said = value if isinstance(value, str) else json.dumps(value)
    return said.encode("utf-8", "backslashreplace").decode()


def described(file: str, frame: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """(file, column, type, meaning) of each column of a frame."""
    for name in frame:
        meaning = cell_meaning(name) if file == "cells" else CURVES.get(name) or DIAGNOSTICS.get(name.split(".")[-1])
        yield file, name, str(frame[name].dtype), meaning or ""


def cell_meaning(name: str) -> str:
    """What a column of `cells` is: the words of the schema, of the metrics, or RECORDED's."""
    if name in knobs():
        return knobs()[name].metadata["doc"]
    return NUMBERS.get(name) or RECORDED.get(name, ("", ""))[1]
