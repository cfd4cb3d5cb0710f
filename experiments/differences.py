"""How the configs of cells differ, field by field, and which of many is nearest to another."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.labels import say

ABSENT = object()  # in place of the value of a field that a config does not have
Flat = Mapping[str, Any]  # dotted field -> value, as experiments.records.flatten gives it


def between(before: Flat, now: Flat) -> dict[str, tuple[Any, Any]]:
    """Field -> (before, now), for the fields that differ; ABSENT where one of the two does not have it."""
    both = {name: (before.get(name, ABSENT), now.get(name, ABSENT)) for name in {**now, **before}}
    return {name: values for name, values in both.items() if values[0] is not values[1] and values[0] != values[1]}


def nearest(wanted: Sequence[Flat], others: Mapping[str, Flat], rather: Collection[str] = ()) -> list[str | None]:
    """For each config the name of the one in `others` that differs in the fewest fields; None where there are none.

    Of several, one of `rather` is taken, then the first.
    """
    if not wanted or not others:
        return [None] * len(wanted)
    names = sorted(others, key=lambda name: name not in rather)
    codes = _codes([*wanted, *(others[name] for name in names)])
    mine, theirs = codes[: len(wanted)], codes[len(wanted) :]
    return [names[int((theirs != row).sum(axis=1).argmin())] for row in mine]


def _codes(configs: Sequence[Flat]) -> np.ndarray:
    """(configs, fields that vary): equal numbers in a column where configs have equal values."""
    fields = list(dict.fromkeys(name for config in configs for name in config))
    seen: dict[str, dict] = {name: {} for name in fields}
    rows = [[seen[name].setdefault(config.get(name, ABSENT), len(seen[name])) for name in fields] for config in configs]
    codes = np.array(rows, np.int32)
    return codes[:, (codes != codes[0]).any(axis=0)]


def change(before: Any, now: Any) -> str:
    """`32 -> 64`; in full where both read the same in short."""
    short = [_said(value) for value in (before, now)]
    return " -> ".join(short if short[0] != short[1] else map(repr, (before, now)))


def _said(value: Any) -> str:
    return "no such field" if value is ABSENT else say(value)
