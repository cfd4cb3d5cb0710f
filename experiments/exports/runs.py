"""The cells of a sweep as runs: a folder's name that is readable and unique, and the values that vary."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from experiments.labels import pairs, say, short_names
from experiments.tables.trials import columns_of

UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]+")
LONG = 150  # characters of a name before its id
STATUS = "status"  # beside the axes


class Run(NamedTuple):
    """A cell, the name of its folder, and its values: the axes under short names, then the status."""

    cell: str
    name: str
    axes: dict[str, Any]


def runs(manifest: Mapping, frame: pd.DataFrame) -> list[Run]:
    """The runs of a frame's cells. The values of an axis are all numbers, all yes or no, or else all text."""
    varying = [name for name, values in manifest["axes"].items() if len(values) > 1]
    rows = columns_of(frame, varying)
    columns = [alike(list(column)) for column in zip(*rows, strict=True)]
    names = [*short_names(varying).values(), STATUS]
    return [
        Run(cell, run_name(cell, dict(zip(varying, row, strict=True))), dict(zip(names, values, strict=True)))
        for cell, row, *values in zip(frame.index, rows, *columns, frame.status, strict=True)
    ]


def run_name(cell: str, axes: Mapping[str, Any]) -> str:
    """`wiring=pre,num_layers=4,3f2a...`: what some path may not hold is an underscore; the id makes it unique."""
    said = UNSAFE.sub("_", pairs(axes).replace(", ", ","))[:LONG]
    return ",".join(filter(None, (said, cell)))


def alike(values: list) -> list:
    """Values of one type: as they are where all are numbers or all are yes or no, else as text."""
    truths = {isinstance(value, bool) for value in values}
    if len(truths) == 1 and all(isinstance(value, int | float) for value in values):
        return values
    return [value if isinstance(value, str) else say(value) for value in values]
