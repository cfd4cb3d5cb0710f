"""The algebra of sweeps: an axis, and how axes combine. A sweep is a list of dicts from field to value.

sweep(name, values)      one axis
fixed(name, value)       an axis of one value
product([a, b, ...])     every combination
zipit([a, b, ...])       in step; lengths equal
chainit([a, b, ...])     one after the other
seeds(count)             seed.init and seed.data in step, from 0

Beside fields a dict may hold "arm": the name under which tables and claims speak of what these cells have in common.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from flax_tx.errors import UserError

Sweep = list[dict[str, Any]]


def sweep(name: str, values: Iterable[Any]) -> Sweep:
    """One axis: the field takes each value in turn."""
    return [{name: value} for value in values]


def fixed(name: str, value: Any) -> Sweep:
    """The field has one value in every cell."""
    return [{name: value}]


def product(sweeps: Sequence[Sweep]) -> Sweep:
    """Every combination, the last axis fastest. Raises: UserError when two axes set the same field."""
    return [merge(parts) for parts in itertools.product(*sweeps)]


def zipit(sweeps: Sequence[Sweep]) -> Sweep:
    """The axes in step. Raises: UserError when their lengths differ; an axis of one value goes with all."""
    length = max((len(one) for one in sweeps), default=0)
    wrong = [str(len(one)) for one in sweeps if len(one) not in (1, length)]
    if wrong:
        raise UserError(f"zipit: expected axes of {length} values, got one of {', '.join(wrong)}")
    return [merge(parts) for parts in zip(*(one * length if len(one) == 1 else one for one in sweeps), strict=True)]


def chainit(sweeps: Sequence[Sweep]) -> Sweep:
    """One sweep after the other."""
    return list(itertools.chain.from_iterable(sweeps))


def seeds(count: int) -> Sweep:
    """So many repetitions: the initial parameters and the order of the data change together."""
    return [{"seed.init": seed, "seed.data": seed} for seed in range(count)]


def merge(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One dict of several; UserError when two of them set the same field."""
    merged: dict[str, Any] = {}
    for part in parts:
        twice = merged.keys() & part.keys()
        if twice:
            raise UserError(f"hyper: {', '.join(sorted(twice))} set by two axes of one product; expected one")
        merged |= part
    return merged
