"""Which cells a user means: an id, the beginning of one, or a selection such as `wiring=pre|post,num_layers=4`."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.labels import say
from flax_tx.errors import UserError, nearest

Flat = Mapping[str, Any]  # dotted field -> value


def choose(text: str, configs: Mapping[str, Flat], axes: Iterable[str]) -> list[str]:
    """The cells of `configs` that a text means. Raises: UserError where it means none, or not one."""
    return _selected(text, configs, list(axes)) if "=" in text else [_by_id(text, configs)]


def _by_id(text: str, ids: Iterable[str]) -> str:
    found = [cell for cell in ids if cell.startswith(text)]
    if text in found:
        return text
    if len(found) != 1:
        what = (
            f"{', '.join(found[:3])} begin so" if found else f"no cell of the plan or the workdir{nearest(text, ids)}"
        )
        raise UserError(f"cell {text!r}: expected an id, the beginning of one, or FIELD=VALUE,...; {what}")
    return found[0]


def _selected(text: str, configs: Mapping[str, Flat], axes: list[str]) -> list[str]:
    found = list(configs)
    for condition in filter(None, map(str.strip, text.split(","))):
        name, equals, values = condition.partition("=")
        if not equals:
            raise UserError(f"cell {condition!r}: expected FIELD=VALUE or FIELD=VALUE|VALUE")
        field, wanted = _field(name, configs, axes), {value.strip() for value in values.split("|")}
        known = {form: say(flat[field]) for flat in configs.values() if field in flat for form in _forms(flat[field])}
        for value in wanted - {*known}:
            there = ", ".join(dict.fromkeys(known.values()))
            raise UserError(f"cell {field} = {value!r}: expected one of {there}{nearest(value, known)}")
        found = [cell for cell in found if wanted & _forms(configs[cell].get(field))]
    if not found:
        raise UserError(f"cell {text!r}: no cell of the plan or the workdir is all of this")
    return found


def _forms(value: Any) -> set[str]:
    """How a value may be written."""
    return {say(value), str(value)}


def _field(name: str, configs: Mapping[str, Flat], axes: list[str]) -> str:
    """The field of that name; else the only axis, or the only field, that ends so, or has it in its name."""
    fields = list(dict.fromkeys(field for flat in configs.values() for field in flat))
    for among in (axes, fields):
        for fits in (lambda field: field == name, lambda f: f.endswith(f".{name}"), lambda f: name in f.split(".")):
            found = [field for field in among if fits(field)]
            if len(found) == 1:
                return found[0]
            if found:
                raise UserError(f"cell {name!r}: expected one of {', '.join(found)}")
    tails = [field.rpartition(".")[2] for field in fields]
    raise UserError(f"cell {name!r}: no such field{nearest(name, fields) or nearest(name, tails)}")
