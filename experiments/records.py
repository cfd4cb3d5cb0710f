"""What is on disk under a workdir: every file written once and atomically, read as pandas.

    sweep.json                  question, axes, cells, programs, table, data, provenance
    cells/<id>/config.json      {"id", "config": the fully resolved config}
    cells/<id>/metrics.parquet  one row per step: step, train_loss, grad_norm, learning_rate
    cells/<id>/layers.parquet   one row per chunk and layer: step, layer, one column per diagnostic
    cells/<id>/probes.parquet   what was measured before the first and after the last step: quantity, index, head, value
    cells/<id>/summary.json     losses with standard errors, parameters, FLOPs, speed
    cells/<id>/error.txt        the traceback, only for `failed`
    cells/<id>/status.json      {"status", "step", "reason", "finished", "seconds"}

status.json is written last: a cell has a result exactly when it exists. Every JSON file carries "schema"; NaN and
infinities are null in JSON and stay themselves in Parquet. Two workdirs of one sweep merge by copying.
"""

import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.labels import key
from flax_tx.errors import UserError, nearest

SCHEMA = 1
STATUSES = ("done", "stuck", "diverged", "failed")
MISSING = "missing"
ARM = "arm"  # beside the fields of a cell: a name that decides no number
NUMBERS = (  # of summary.json; null where unknown, so read as float
    *("val_loss", "val_loss_se", "test_loss", "test_loss_se", "val_accuracy", "test_accuracy", "final_train_loss"),
    *("params", "flops_per_step", "tokens_per_second", "compile_seconds", "train_seconds"),
    *("unigram_loss", "floor_loss", "progress"),
)

COLUMNS = {  # of the frames of the Parquet files; layers has one more per diagnostic
    "metrics": {
        "cell": "str",
        "step": "int32",
        **dict.fromkeys(("train_loss", "grad_norm", "learning_rate"), "float32"),
    },
    "layers": {"cell": "str", "step": "int32", "layer": "int32"},
    "probes": {"cell": "str", "quantity": "str", "index": "int32", "head": "int32", "value": "float64"},
}


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file whole or not at all: a temporary file beside it (so the rename is atomic), fsync, rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike, obj: Mapping) -> None:
    """Writes one JSON object atomically; adds "schema"."""
    text = json.dumps(plain({"schema": SCHEMA, **obj}), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_parquet(path: str | os.PathLike, columns: Mapping[str, Any]) -> None:
    """Writes equally long columns atomically; NaN and infinities stay what they are."""
    table = pa.table({name: pa.array(np.asarray(column), from_pandas=False) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_bytes(path, sink.getvalue().to_pybytes())


def read_json(path: str | os.PathLike) -> dict:
    """One JSON object. Raises: UserError, one line that names the file, when it is absent or torn."""
    path = Path(path)
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; the command that wrote the others writes it again") from None
    except (OSError, ValueError) as error:  # ValueError: not JSON, or not UTF-8
        raise UserError(f"{path}: unreadable ({error}); remove the file, then launch again") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise UserError(f"{path}: expected an object with schema {SCHEMA}; it was written by another version")
    return value


def cell_dir(workdir: str | os.PathLike, cell: str) -> Path:
    """The folder of one cell."""
    return Path(workdir) / "cells" / cell


def finished(workdir: str | os.PathLike, ids: Iterable[str]) -> set[str]:
    """Those of the cells `ids` that have a result, whatever its status."""
    return {cell for cell in ids if (cell_dir(workdir, cell) / "status.json").is_file()}


def status_of(workdir: str | os.PathLike, cell: str) -> dict | None:
    """The content of status.json, or None for a cell without a result."""
    path = cell_dir(workdir, cell) / "status.json"
    return read_json(path) if path.is_file() else None


def write_cell_config(workdir: str | os.PathLike, cell: str, config: Mapping) -> None:
    """Writes config.json: the nested, fully resolved config."""
    write_json(cell_dir(workdir, cell) / "config.json", {"id": cell, "config": config})


def write_result(
    workdir: str | os.PathLike,
    cell: str,
    metrics: Mapping | None,
    layers: Mapping | None,
    summary: Mapping | None,
    status: Mapping,
    error: str | None = None,
    probes: Mapping | None = None,
) -> None:
    """Writes all that a cell leaves, status.json last; what is None (a failed cell has no curves) is not written.

    `probes`: equally long columns quantity, index (from 0), head (from 1; 0 where there are none) and value.

    A cell that is tried again loses its old status first, so that a status never stands beside another try's curves.
    """
    if status["status"] not in STATUSES:
        raise ValueError(f"status {status['status']!r}: expected one of {', '.join(STATUSES)}")
    folder = cell_dir(workdir, cell)
    for stale in ("status.json", "error.txt", "summary.json", "metrics.parquet", "layers.parquet", "probes.parquet"):
        (folder / stale).unlink(missing_ok=True)
    for name, write, content in (
        ("metrics.parquet", write_parquet, metrics),
        ("layers.parquet", write_parquet, layers),
        ("probes.parquet", write_parquet, probes),
        ("summary.json", write_json, summary),
        ("error.txt", write_text, error),
        ("status.json", write_json, {"step": None, "reason": None, **status}),
    ):
        if content is not None:
            write(folder / name, content)


def sweep(workdir: str | os.PathLike) -> dict:
    """The content of sweep.json. Raises: UserError, one line, when the folder is not a sweep's."""
    workdir = Path(workdir)
    if (workdir / "sweep.json").is_file():
        return read_json(workdir / "sweep.json")
    if workdir.is_dir():
        inside = sorted(str(path.parent) for path in workdir.glob("*/sweep.json"))
        mend = f"; did you mean {inside[0]}?" if inside else "; experiments.launch writes it"
        raise UserError(f"workdir {str(workdir)!r}: expected a folder with sweep.json{mend}")
    beside = [str(path.parent) for path in workdir.parent.glob("*/sweep.json")]
    raise UserError(
        f"workdir {str(workdir)!r}: no such folder{nearest(str(workdir), beside) or '; experiments.launch makes it'}"
    )


def flatten(config: Mapping, prefix: str = "") -> dict[str, Any]:
    """{"model": {"wiring": "pre"}} -> {"model.wiring": "pre"}; lists become tuples, so that values can be keys."""
    flat = {}
    for name, value in config.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: key(value)}
    return flat


def load(workdir: str | os.PathLike, all_cells: bool = False) -> pd.DataFrame:
    """One row per cell of sweep.json, indexed by cell id.

    Columns: every config field with its dotted name, `program`, `arm` where the sweep names its arms, `status`
    ("missing" where there is no result) with its step, reason, finished and seconds, and every field of summary.json.
    With `all_cells`, also the cells of other sweeps that lie in the same workdir. Raises: UserError for a folder that
    is no sweep's, or a torn file.
    """
    manifest = sweep(workdir)
    cells = list(manifest["cells"])
    if all_cells:
        cells += sorted({path.parent.name for path in Path(workdir).glob("cells/*/config.json")} - set(cells))
    programs = {cell: program for program, members in manifest["programs"].items() for cell in members}
    arms = manifest.get("arms") or {}
    named = {cell: {ARM: arms.get(cell)} if arms else {} for cell in cells}
    rows = [{"program": programs.get(cell), **named[cell], **_row(workdir, cell)} for cell in cells]
    frame = pd.DataFrame(rows, index=pd.Index(cells, name="cell"), dtype=object).infer_objects()
    return frame.assign(**{name: frame[name].astype(float) if name in frame else np.nan for name in NUMBERS})


def _row(workdir: str | os.PathLike, cell: str) -> dict[str, Any]:
    folder = cell_dir(workdir, cell)
    row = flatten(read_json(folder / "config.json")["config"])
    status = status_of(workdir, cell)
    row |= status or {"status": MISSING}
    if status and (folder / "summary.json").is_file():
        row |= flatten(read_json(folder / "summary.json"))
    return {name: value for name, value in row.items() if name != "schema"}


def load_metrics(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per step, of the cells that have a result: cell, step, train_loss, grad_norm, learning_rate."""
    return _load_parquet(workdir, ids, "metrics")


def load_layers(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per chunk and layer, of the cells that have a result: cell, step, layer, one column per diagnostic."""
    return _load_parquet(workdir, ids, "layers")


def load_probes(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per number that was probed, of the cells that have a result: cell, quantity, index, head, value."""
    return _load_parquet(workdir, ids, "probes")


def _load_parquet(workdir: str | os.PathLike, ids: Iterable[str] | None, name: str) -> pd.DataFrame:
    frames = {}
    for cell in sweep(workdir)["cells"] if ids is None else ids:
        path = cell_dir(workdir, cell) / f"{name}.parquet"
        if path.is_file() and (path.parent / "status.json").is_file():
            frames[cell] = _read_parquet(path)
    if not frames:
        return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in COLUMNS[name].items()})
    return pd.concat(frames, names=["cell"]).reset_index(level="cell").reset_index(drop=True)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            return file.read().to_pandas()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: unreadable ({reason}); remove the cell's folder, then launch again") from None
