"""Cells of two arms that are alike in all else."""

from collections.abc import Mapping
from typing import Any

from experiments.claims.doubts import sources
from experiments.quantity import select
from experiments.results import Results
from flax_tx.errors import UserError


def paired_cells(
    at_a: Mapping[str, Any], at_b: Mapping[str, Any], results: Results
) -> tuple[list[tuple], tuple[str, ...]]:
    """Pairs (cell at a, cell at b) equal in every other axis, and what to doubt of them, a line each.

    An axis of which the two arms share no value changes with the arm and pairs nothing. Raises: UserError where two
    cells of one arm are alike in all that pairs.
    """
    arms = [select(results.rows, at) for at in (at_a, at_b)]
    if not all(arms):
        return [], ()
    values = {name: [{row.get(name) for row in arm.values()} for arm in arms] for name in results.axes}
    alike = [name for name, (a, b) in values.items() if name not in {*at_a, *at_b} and a & b]
    keyed = [_keyed(arm, alike) for arm in arms]
    partners = [(keyed[0][place], keyed[1][place]) for place in keyed[0] if place in keyed[1]]
    alone = sum(map(len, arms)) - 2 * len(partners)
    doubts = sources([cell for pair in partners for cell in pair], results)
    return partners, (*(f"{alone} cells have no partner",) * bool(alone), *doubts)


def _keyed(arm: Mapping[str, Mapping], fields: list[str]) -> dict[tuple, str]:
    keyed: dict[tuple, str] = {}
    for name, row in arm.items():
        place = tuple(row.get(field) for field in fields)
        if place in keyed:
            raise UserError(f"claims: cells {keyed[place]} and {name} cannot be told apart; fix what differs in at")
        keyed[place] = name
    return keyed
