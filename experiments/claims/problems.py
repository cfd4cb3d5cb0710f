"""What is wrong with the claims of a sweep, seen before anything runs."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.claims.claim import CLAIM_KINDS, Claim
from experiments.claims.condition import Condition
from experiments.fits import FITS
from experiments.labels import key
from experiments.metrics import METRICS
from experiments.plain import Plain
from experiments.quantity import Quantity, free_fields, is_number, select, split_by, varying
from experiments.table_spec import Table
from experiments.typed import shown, wrong_fields
from flax_tx.config import check, knobs
from flax_tx.errors import nearest


def problems(
    claims: Sequence[Claim], axes: Mapping[str, list], table: Table, cells: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """A line for each; empty when every claim can be asked.

    Args:
      axes: field -> its values in the sweep.
      table: the sweep's main table, which names its seeds and what it retunes.
      cells: the overrides of each cell; with them, also fields that would be mixed are found.
    """
    found = list(_together(claims))
    rows = {str(i): {name: key(value) for name, value in cell.items()} for i, cell in enumerate(cells)}
    for claim in (claim for claim in claims if isinstance(claim, Claim)):
        found += [f"claims.{claim.id}: {line}" for line in _own(claim)]
        for part in parts((claim.rule, claim.check)):
            where = f"claims.{claim.id} {type(part).__name__}"
            lines = list(wrong_fields(part, ".")) or [
                *_fields(part, axes),
                *_rules(part, axes, table),
                *_mixed(part, axes, table, rows),
            ]
            found += [f"{where}{line}" for line in lines]
    return list(dict.fromkeys(found))


def parts(value: Any) -> Iterator[Plain]:
    """Every condition and quantity within, outermost first."""
    if isinstance(value, Plain):
        yield value
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)


def _together(claims: Sequence[Any]) -> Iterator[str]:
    for other in (claim for claim in claims if not isinstance(claim, Claim)):
        yield f"claims: expected a Claim, got {type(other).__name__}"
    for name, number in Counter(claim.id for claim in claims if isinstance(claim, Claim)).items():
        if number > 1:
            yield f"claims.{name}: expected one claim of this id, got {number}"


def _own(claim: Claim) -> Iterator[str]:
    for name in ("id", "statement", "source", "caveat"):
        if not isinstance(getattr(claim, name), str):
            yield f"{name} = {getattr(claim, name)!r:.80}: expected str"
    if not claim.id or not claim.statement:
        yield "expected an id and a statement"
    if claim.kind not in CLAIM_KINDS:
        yield f"kind = {claim.kind!r}: expected one of {', '.join(CLAIM_KINDS)}{nearest(claim.kind, CLAIM_KINDS)}"
    if not claim.rule:
        yield "rule = (): expected at least one condition"
    for name in ("rule", "check"):
        value = getattr(claim, name)
        if not isinstance(value, tuple) or not all(isinstance(condition, Condition) for condition in value):
            yield f"{name}: expected a tuple of conditions, got {shown(value)}"


def _fields(part: Plain, axes: Mapping[str, list]) -> Iterator[str]:
    """Names and values of fields that the schema does not have."""
    known = {*axes, *knobs()}
    for name in ("over", "nuisance"):
        field = getattr(part, name, "")
        if field and field not in known:
            yield f".{name} = {field!r}: no such field{nearest(field, axes) or nearest(field, known)}"
    mappings = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    for name, at in mappings.items():
        for field, value in at.items() if isinstance(at, Mapping) else ():
            if field not in known:
                yield f".{name} = {field!r}: no such field{nearest(field, axes) or nearest(field, known)}"
            elif (
                field in knobs()
                and knobs()[field].type is not tuple
                and (wrong := check(field, value, knobs()[field])[1])
            ):
                yield f".{name} {wrong}"


def _rules(part: Plain, axes: Mapping[str, list], table: Table) -> Iterator[str]:
    if isinstance(part, Condition):
        yield from (f".{line}" for line in part.mistakes())
        if hasattr(part, "over") and not part.over:
            yield ".over = '': expected a field"
        return
    if not isinstance(part, Quantity):
        return
    if part.metric not in METRICS:
        yield f".metric = {part.metric!r}: no such metric{nearest(part.metric, METRICS)}"
    if part.fit and part.fit not in FITS:
        yield f".fit = {part.fit!r}: expected one of {', '.join(FITS)}{nearest(part.fit, FITS)}"
    yield from _over(part, axes, table)
    for name in table.nuisance if not part.best else ():
        if len(axes.get(name, ())) > 1 and name not in part.at and name != part.over:
            yield f".best = False: expected {name} in at"


def _over(part: Quantity, axes: Mapping[str, list], table: Table) -> Iterator[str]:
    if bool(part.over) != bool(part.fit):
        yield f".over = {part.over!r}, fit = {part.fit!r}: expected both or neither"
    if part.over and (part.over in part.at or part.over in table.seeds):
        yield f".over = {part.over!r}: expected a field that is not in at and no seed"
    if part.over and part.tuned_at and part.over not in part.tuned_at:
        yield f".tuned_at: expected a value of {part.over}"
    numeric = part.fit in FITS and FITS[part.fit].numeric
    if numeric and not all(map(is_number, axes.get(part.over, ()))):
        yield f".fit = {part.fit!r}: expected an axis of numbers, and {part.over} has others"


def _mixed(part: Plain, axes: Mapping[str, list], table: Table, rows: Mapping[str, Mapping]) -> Iterator[str]:
    """Fields that vary among the cells of an arm, and are neither fixed, tuned, reduced nor seeds."""
    at = getattr(part, "at", None)
    if at is None:
        return
    over, free = getattr(part, "over", ""), table.nuisance
    if isinstance(part, Quantity):
        free = free_fields(part, at, free)
    fixed = [name for name in axes if name not in {*free, *table.seeds, over}]
    for group in split_by(select(rows, {k: v for k, v in at.items() if k in axes}), over).values():
        if doubt := varying(group.values(), fixed):
            yield f".at: {doubt}; fix it"
            return
