"""Event files of TensorBoard, one run folder per cell that has a result. This module needs tensorboardX.

train/loss, train/grad_norm, train/learning_rate         by step
layers/<statistic>/<layer>                               by step
probes/<quantity>, probes/<quantity>/head_<head>         by sublayer or layer, from 0
final/val_loss, final/test_loss, ...                     at the last step
cell/status, cell/config                                 as text
HPARAMS                                                  the axes of the sweep, the status, and the numbers of final/

Every event has the time at which its cell ended, so that the same records give the same bytes. A number is a float32.
"""

import datetime
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
from tensorboardX import RecordWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import text

from experiments import records
from experiments.exports import hparams
from experiments.exports.runs import runs
from experiments.metrics import METRICS

FILE = "events.out.tfevents.{seconds:.0f}.{cell}"
VERSION = "brain.Event:2"
TRAIN = {"train_loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate"}
FINAL = ("val_loss", "test_loss", "val_accuracy", "test_accuracy", "final_train_loss", "progress")


def write(workdir: str | os.PathLike, folder: Path) -> None:
    """Writes the runs."""
    frame = records.load(workdir)
    frame = frame[frame.status.isin(records.STATUSES)]
    found = runs(records.sweep(workdir), frame)
    finals = {f"final/{name}": METRICS[name].name for name in FINAL if frame[name].notna().any()}
    experiment = hparams.experiment([run.axes for run in found], finals)
    for run in found:
        row = frame.loc[run.cell]
        ended = datetime.datetime.fromisoformat(row.finished).timestamp()
        path = folder / run.name / FILE.format(seconds=ended, cell=run.cell)
        path.parent.mkdir()
        start = hparams.start(run.axes, ended - row.seconds)
        end = hparams.end(row.status, ended)
        write_events(path, ended, [(0, experiment), (0, start), *summaries(workdir, row), (0, end)])


def write_events(path: Path, wall_time: float, found: Iterable[tuple[int, Summary]]) -> None:
    """An event file with these (step, summary), all at one time."""
    writer = RecordWriter(str(path))
    events = [Event(wall_time=wall_time, step=step, summary=summary) for step, summary in found]
    for event in (Event(wall_time=wall_time, file_version=VERSION), *events):
        writer.write(event.SerializeToString(deterministic=True))
    writer.close()


def summaries(workdir: str | os.PathLike, row: pd.Series) -> Iterator[tuple[int, Summary]]:
    """(step, summary) of all that a cell recorded; the numbers of one step are one summary."""
    curves = records.load_metrics(workdir, [row.name])
    for values in curves.to_dict("records"):
        yield values["step"], scalars({tag: values[name] for name, tag in TRAIN.items() if name in values})
    yield from layers(records.load_layers(workdir, [row.name]))
    yield from probes(records.load_probes(workdir, [row.name]))
    last = int(curves.step.max()) if len(curves) else 0
    yield last, scalars({f"final/{name}": row[name] for name in FINAL if pd.notna(row[name])})
    reason = f": {row.reason}" if isinstance(row.reason, str) else ""
    config = records.read_json(records.cell_dir(workdir, row.name) / "config.json")["config"]
    yield last, text("cell/status", verbatim(f"{row.status}{reason}"))
    yield last, text("cell/config", verbatim(json.dumps(config, indent=1)))


def layers(frame: pd.DataFrame) -> Iterator[tuple[int, Summary]]:
    """The diagnostics of every layer, a summary per chunk."""
    statistics = [name for name in frame if name not in ("cell", "step", "layer")]
    for step, chunk in frame.groupby("step"):
        columns = {name: zip(chunk.layer, chunk[name], strict=True) for name in statistics}
        yield step, scalars({f"layers/{name}/{layer}": x for name, column in columns.items() for layer, x in column})


def probes(frame: pd.DataFrame) -> Iterator[tuple[int, Summary]]:
    """What was probed, with the index of a sublayer or layer as its step."""
    for index, found in frame.groupby("index"):
        tags = [
            f"probes/{quantity}" + f"/head_{head}" * bool(head)
            for quantity, head in zip(found.quantity, found["head"], strict=True)
        ]
        yield index, scalars(dict(zip(tags, found.value, strict=True)))


def scalars(values: Mapping[str, float]) -> Summary:
    """Several numbers under their tags."""
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def verbatim(words: str) -> str:
    """Markdown that shows a text as it is: TensorBoard renders texts."""
    return "\n".join(f"    {line}" for line in words.splitlines())
