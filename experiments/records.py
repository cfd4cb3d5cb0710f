"""What is on disk under a workdir: every file written once, atomically and with its proof, read as pandas.

    sweep.json                  question, axes, cells, programs, table, data, provenance
    cells/<id>/config.json      {"id", "config": the fully resolved config}
    cells/<id>/metrics.parquet  one row per step: step, train_loss, grad_norm, learning_rate
    cells/<id>/layers.parquet   one row per chunk and layer: step, layer, one column per diagnostic
    cells/<id>/probes.parquet   what was measured before the first and after the last step: quantity, index, head, value
    cells/<id>/summary.json     losses with standard errors, parameters, FLOPs, speed
    cells/<id>/error.txt        the traceback, only for `failed`
    cells/<id>/status.json      {"status", "step", "reason", "finished", "seconds", "files": {name: SHA-256}}

status.json is written last: a cell has a result exactly when it exists, and the result is what its `files` prove. A
cell whose files are not those that were written is `damaged`: it counts as missing, by that name, and the others stay
readable. JSON files prove themselves (experiments.files). Two workdirs of one sweep merge by copying.
"""

import errno
import functools
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import files, shapes
from experiments.files import (
    FIRST,
    RecordError,
    plain,
    read_json,
    write_bytes,
    write_json,
    write_parquet,
    write_text,
)
from experiments.labels import key
from experiments.shapes import ID, STATUSES
from flax_tx.config import complete, name_of
from flax_tx.errors import UserError, nearest

__all__ = ["RecordError", "plain", "read_json", "write_bytes", "write_json", "write_parquet", "write_text"]

MISSING, DAMAGED = "missing", "damaged"
ABSENT = (MISSING, DAMAGED)  # no result, or none that can be believed
AGAIN = "launch with --retry=damaged trains the cell again"
ARM = "arm"  # beside the fields of a cell: a name that decides no number
TEXTS = ("device", "precision", "commit", "jax")
NUMBERS = tuple(name for name in shapes.Summary.__dataclass_fields__ if name not in TEXTS)  # of summary.json, as float
COLUMNS = {  # of the frames of the Parquet files; layers has one more per diagnostic
    "metrics.parquet": {
        "step": "int32",
        **dict.fromkeys(("train_loss", "grad_norm", "learning_rate"), "float32"),
    },
    "layers.parquet": {"step": "int32", "layer": "int32"},
    "probes.parquet": {"quantity": "str", "index": "int32", "head": "int32", "value": "float64"},
}
NEEDED = {
    name: [column for column in COLUMNS[name] if column not in ("grad_norm", "learning_rate")] for name in COLUMNS
}
RESULT = ("status.json", "error.txt", "summary.json", *COLUMNS)


def cell_dir(workdir: str | os.PathLike, cell: str) -> Path:
    """The folder of one cell. Raises: UserError for what is no id, and could lead elsewhere."""
    if not ID.fullmatch(cell):
        raise UserError(f"cell {cell!r:.60}: expected an id, of letters and digits")
    return Path(workdir, "cells", cell)


def finished(workdir: str | os.PathLike, ids: Iterable[str]) -> set[str]:
    """Those of the cells `ids` that have a result, whatever its status."""
    return {cell for cell in ids if (cell_dir(workdir, cell) / "status.json").is_file()}


def status_of(workdir: str | os.PathLike, cell: str) -> dict | None:
    """The content of status.json, or None for a cell without a result. Raises: RecordError where it is damaged."""
    path = cell_dir(workdir, cell) / "status.json"
    if not path.is_file():
        return None
    status = checked(path, read_json(path), shapes.Status)
    if status["status"] not in STATUSES or set(status.get("files", ())) - set(RESULT):
        raise RecordError(f"{path}: damaged (status {status['status']!r:.20} of files that no cell has)")
    return status


def outcome(workdir: str | os.PathLike, cell: str) -> dict[str, Any]:
    """How a cell ended, with every file of its result read and proved: its status.json and its summary.json as one.

    {"status": "missing"} where there is no result; {"status": "damaged", "reason"} where it cannot be believed.
    """
    try:
        status = status_of(workdir, cell)
        if status is None:
            return {"status": MISSING}
        content = _proved(cell_dir(workdir, cell), status)
        path = cell_dir(workdir, cell) / "summary.json"
        summary = parse(path, content[path.name]) if path.name in content else {}
    except RecordError as error:
        return {"status": DAMAGED, "reason": f"{error}; {AGAIN}"}
    return {name: value for name, value in (status | summary).items() if name not in ("schema", "files")}


def _proved(folder: Path, status: Mapping) -> dict[str, bytes]:
    """The files of a result that are beside its status. Raises: RecordError for one that is not what was written."""
    if status["schema"] == FIRST:  # it proves nothing
        return {name: files.read_bytes(folder / name) for name in RESULT[1:] if (folder / name).is_file()}
    return {name: files.read_bytes(folder / name, proof) for name, proof in status.get("files", {}).items()}


def read_config(workdir: str | os.PathLike, cell: str) -> dict[str, Any]:
    """The nested config of a cell. Raises: RecordError where it is absent, damaged or another cell's."""
    path = cell_dir(workdir, cell) / "config.json"
    record = checked(path, read_json(path), shapes.Cell)
    if record["id"] != cell or (record["schema"] == FIRST and name_of(record["config"]) != cell):
        raise RecordError(f"{path}: damaged (it is not the config of cell {cell}); the launch writes it again")
    return complete(record["config"])


def checked(path: Path, record: dict, kind: type) -> dict:
    """The record, if it is as its class says. Raises: RecordError."""
    if problem := next(shapes.problems(record, kind), None):
        raise RecordError(f"{path}: {problem}; no version writes that")
    return record


def forget(workdir: str | os.PathLike, cell: str) -> None:
    """Takes the result of a cell away, so that it is run again; what else it left goes when it has a new one."""
    (cell_dir(workdir, cell) / "status.json").unlink(missing_ok=True)


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
    Raises: OSError where the disk is full, the workdir gone or read-only: the cell then has no result.
    """
    if status["status"] not in STATUSES:
        raise ValueError(f"status {status['status']!r}: expected one of {', '.join(STATUSES)}")
    kinds = (
        ("metrics.parquet", files.parquet_bytes, metrics),
        ("layers.parquet", files.parquet_bytes, layers),
        ("probes.parquet", files.parquet_bytes, probes),
        ("summary.json", files.json_bytes, summary),
        ("error.txt", files.text_bytes, error),
    )
    written = {name: encode(content) for name, encode, content in kinds if content is not None}
    proofs = {name: files.digest(content) for name, content in written.items()}
    status = {"step": None, "reason": None, **status, "files": proofs}
    write_files(workdir, cell, {**written, "status.json": files.json_bytes(status)})


def write_files(workdir: str | os.PathLike, cell: str, content: Mapping[str, bytes]) -> None:
    """Writes the files of a result, status.json last, in place of those of an earlier one. Raises: OSError."""
    folder = cell_dir(workdir, cell)
    if not Path(workdir).is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(workdir))
    for stale in RESULT:
        (folder / stale).unlink(missing_ok=True)
    for name in sorted(content, key=lambda name: name == "status.json"):
        write_bytes(folder / name, content[name])


def read_files(workdir: str | os.PathLike, cell: str) -> dict[str, bytes]:
    """The files of a result, as write_files takes them to another workdir. Raises: RecordError where not whole."""
    folder, status = cell_dir(workdir, cell), status_of(workdir, cell)
    if status is None:
        raise RecordError(f"{folder}: damaged (no status.json)")
    return {**_proved(folder, status), "status.json": files.read_bytes(folder / "status.json")}


def sweep(workdir: str | os.PathLike) -> dict:
    """The content of sweep.json. Raises: UserError, a line for each problem, when the folder is not a sweep's."""
    workdir = Path(workdir)
    if (workdir / "sweep.json").is_file():
        try:
            manifest = read_json(workdir / "sweep.json")
        except RecordError as error:
            raise RecordError(f"{error}; remove it, and the same launch writes it again") from None
        if problems := list(shapes.manifest_problems(manifest)):
            raise RecordError(f"{workdir / 'sweep.json'}: {problem}; no version writes that" for problem in problems)
        return manifest
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
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = key(value)
    return flat


def load(workdir: str | os.PathLike, all_cells: bool = False, ends: Mapping[str, dict] | None = None) -> pd.DataFrame:
    """One row per cell of sweep.json, indexed by cell id.

    Columns: every config field with its dotted name, `program`, `arm` where the sweep names its arms, `status`
    ("missing" where there is no result, "damaged" where its files are not what was written) with its step, reason,
    finished and seconds, and every field of summary.json. With `all_cells`, also the cells of other sweeps that lie in
    the same workdir. `ends`: what outcome() gave for cells that nothing has run since.

    Raises: UserError for a folder that is no sweep's, or a damaged sweep.json.
    """
    manifest = sweep(workdir)
    cells = list(manifest["cells"])
    if all_cells:
        there = {path.parent.name for path in Path(workdir).glob("cells/*/config.json")}
        cells += sorted(filter(ID.fullmatch, there - set(cells)))
    programs = {cell: program for program, members in manifest["programs"].items() for cell in members}
    arms = manifest.get("arms") or {}
    named = {cell: {ARM: arms.get(cell)} if arms else {} for cell in cells}
    found = _rows(workdir, cells, manifest.get("points") or {}, ends or {})
    rows = [{"program": programs.get(cell), **named[cell], **found[cell]} for cell in cells]
    frame = pd.DataFrame(rows, index=pd.Index(cells, name="cell"), dtype=object).infer_objects()
    return frame.assign(**{name: frame[name].astype(float) if name in frame else np.nan for name in NUMBERS})


def _rows(
    workdir: str | os.PathLike, cells: list[str], points: Mapping[str, Mapping], ends: Mapping[str, dict]
) -> dict[str, dict[str, Any]]:
    """Config and end of each cell. Where a config is lost, sweep.json still says in what the cell differs."""
    configs, lost = {}, {}
    for cell in cells:
        try:
            configs[cell] = flatten(read_config(workdir, cell))
        except RecordError as error:
            lost[cell] = {"status": DAMAGED, "reason": str(error)}
    common = next((configs[cell] for cell in cells if cell in configs and cell in points), {})
    for cell in lost:
        configs[cell] = common | {name: key(value) for name, value in points[cell].items()} if cell in points else {}
    return {cell: configs[cell] | (lost.get(cell) or ends.get(cell) or outcome(workdir, cell)) for cell in cells}


def load_metrics(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per step, of the cells that have a result: cell, step, train_loss, grad_norm, learning_rate."""
    return _load_parquet(workdir, ids, "metrics.parquet")


def load_layers(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per chunk and layer, of the cells that have a result: cell, step, layer, one column per diagnostic."""
    return _load_parquet(workdir, ids, "layers.parquet")


def load_probes(workdir: str | os.PathLike, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Per number that was probed, of the cells that have a result: cell, quantity, index, head, value."""
    return _load_parquet(workdir, ids, "probes.parquet")


def recorded(workdir: str | os.PathLike, name: str) -> list[str]:
    """The columns of a Parquet record, of all cells that have a result together."""
    loaded = _load_parquet(workdir, None, name)
    return [column for column in loaded if column != "cell"] if len(loaded) else []


def _load_parquet(workdir: str | os.PathLike, ids: Iterable[str] | None, name: str) -> pd.DataFrame:
    """One kind of file of the cells; a damaged one is left out, with a line in the log."""
    frames = {}
    for cell in sweep(workdir)["cells"] if ids is None else ids:
        try:
            frame = read_table(workdir, cell, name)
        except RecordError as error:
            _say(f"{error}; {AGAIN}")
            continue
        if frame is not None:
            frames[cell] = frame
    if not frames:
        kinds = {"cell": "str", **COLUMNS[name]}
        return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})
    return pd.concat(frames, names=["cell"]).reset_index(level="cell").reset_index(drop=True)


@functools.cache  # a table that asks for three files of a cell says it once
def _say(line: str) -> None:
    logging.getLogger(__name__).warning("%s", line)


def read_table(workdir: str | os.PathLike, cell: str, name: str) -> pd.DataFrame | None:
    """A Parquet file of a cell whose result is whole; None where it has none of that name. Raises: RecordError."""
    folder, status = cell_dir(workdir, cell), status_of(workdir, cell)
    content = _proved(folder, status) if status else {}
    if name not in content:
        return None
    return parse(folder / name, content[name])


def parse(path: Path, content: bytes) -> pd.DataFrame | dict | str:
    """What the bytes of a file of a result hold: a table, the flat summary, or a text. Raises: RecordError."""
    if path.suffix == ".txt":
        return content.decode(errors="replace")
    if path.suffix == ".json":
        return flatten(checked(path, files.parse_json(path, content), shapes.Summary))
    frame = files.parse_parquet(path, content)
    if absent := [column for column in NEEDED[path.name] if column not in frame]:
        raise RecordError(f"{path}: damaged (no column {', '.join(absent)})")
    return frame
