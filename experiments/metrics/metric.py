"""What a number that a table, a claim or a figure can name is called, and what it is computed from."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Metric:
    """One number per cell.

    Attributes:
      name, unit: as tables print them; a unit may hold {item} for token or document.
      lower_is_better: None: neither, so arms are not compared by it.
      format: of one number.
      source: the record that it is computed from: "summary" (the field of summary.json of the metric's key), "curves",
        "layers" or "probes".
      compute: (record, row) -> float; NaN where the record lacks what it needs. A record maps a name to an array:
        curves to (steps,), layers to (chunks, layers), probes to (entries,), or (layers, heads) where there are heads.
        A row holds config fields and the fields of summary.json, as records.load has them, and `bigram_loss`.
    """

    name: str
    unit: str
    lower_is_better: bool | None
    format: str = ".3f"
    source: str = "summary"
    compute: Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], float] | None = None


def of(formula: Callable[..., float], *names: str, least: int = 1) -> Callable[..., float]:
    """The `compute` that calls a formula with the arrays of these names, in their order.

    A name with `*` stands for all that it matches, as a list: attention before ffn_2 before ffn_10. NaN where one is
    missing, matches nothing, or has fewer than `least` entries along its first axis.
    """

    def compute(record: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float:
        found = [matching(record, name) if "*" in name else record.get(name) for name in names]
        arrays = [array for item in found if item is not None for array in (item if isinstance(item, list) else [item])]
        if any(item is None or len(item) == 0 for item in found) or any(len(array) < least for array in arrays):
            return float("nan")
        with np.errstate(all="ignore"):
            return float(formula(*found))

    return compute


def matching(record: Mapping[str, np.ndarray], pattern: str) -> list[np.ndarray]:
    """The arrays whose names begin and end like a pattern with one `*`, in natural order."""
    head, _, tail = pattern.partition("*")
    names = [name for name in record if name.startswith(head) and name.endswith(tail)]
    return [record[name] for name in sorted(names, key=natural)]


def natural(name: str) -> list[str | int]:
    """A key that sorts names by their words, and by the numbers in them."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
