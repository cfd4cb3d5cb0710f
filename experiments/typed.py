"""What a sweep file declares as dataclasses holds what their annotations say: mistakes in types, as lines."""

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args, get_origin

from flax_tx.errors import UserError


@contextmanager
def declared(what: str) -> Iterator[None]:
    """Reads what a sweep.json declares. Raises: UserError where it is not of the form that this version writes."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        form = f"{type(error).__name__}: {error}"
        raise UserError(f"sweep.json: {what} is not of the form that this version writes ({form:.120})") from None


def as_declared(value: Any, where: str) -> Any:
    """The value of a sweep.json, whose fields are of the types that they declare. Raises: UserError, a line for each
    that is not."""
    if found := [*mistyped(value, where)]:
        raise UserError(f"sweep.json: {line}" for line in found)
    return value


def mistyped(value: Any, where: str) -> Iterator[str]:
    """A line for each field of a dataclass, and of those within, that is of another type than declared."""
    yield from wrong_fields(value, f"{where}.")
    for field in dataclasses.fields(value):
        inside, at = getattr(value, field.name), f"{where}.{field.name}"
        several = isinstance(inside, tuple | list)
        for name, item in ((f"{at}[{i}]", item) for i, item in enumerate(inside)) if several else ((at, inside),):
            if dataclasses.is_dataclass(item):
                yield from mistyped(item, name)


def wrong_fields(value: Any, prefix: str) -> Iterator[str]:
    """The same for the fields of one dataclass alone."""
    for field in dataclasses.fields(value):
        inside = getattr(value, field.name)
        if not holds(inside, field.type):
            yield f"{prefix}{field.name} = {shown(inside)}: expected {words(field.type)}{meant(inside, field.type)}"


def holds(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type; an int is a float, a list a tuple, yes and no are no numbers."""
    origin, inside = parts(kind)
    if origin is types.UnionType:
        return any(holds(value, each) for each in inside)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        kinds = inside[:1] * len(value) if inside[-1] is Ellipsis else inside
        return len(kinds) == len(value) and all(map(holds, value, kinds))
    if origin in (list, dict):
        items = {list: lambda: zip(value), dict: lambda: value.items()}[origin]
        return isinstance(value, origin) and all(all(map(holds, item, inside)) for item in items())
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return kind is Any or isinstance(value, origin or kind)


@functools.cache
def parts(kind: Any) -> tuple[Any, tuple]:
    """The origin and the arguments of an annotated type."""
    return get_origin(kind), get_args(kind)


def shown(value: Any) -> str:
    """A value in a few characters; of a dataclass, whose text is long, the name."""
    if isinstance(value, tuple | list) and any(map(dataclasses.is_dataclass, value)):
        return f"({', '.join(map(shown, value))})"
    return type(value).__name__ if dataclasses.is_dataclass(value) else f"{value!r:.80}"


def words(kind: Any) -> str:
    """An annotated type as a message has it: `a tuple of str`, `float or None`."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return " or ".join(map(words, inside))
    if origin is tuple:
        return f"a tuple of {words(inside[0])}" if inside[-1] is Ellipsis else f"({', '.join(map(words, inside))})"
    if origin is list:
        return f"a list of {words(inside[0])}"
    if origin is dict:
        return "a dict" if inside[1] is Any else f"a dict of {words(inside[1])}"
    if origin:
        return "a dict" if issubclass(origin, Mapping) else origin.__name__
    return "None" if kind is types.NoneType else getattr(kind, "__name__", str(kind))


def meant(value: Any, kind: Any) -> str:
    """The tuple of one that a value without its comma was meant to be."""
    if get_origin(kind) is not tuple or isinstance(value, tuple | list) or not holds((value,), kind):
        return ""
    return f"; did you mean ({shown(value)},)?"
