"""Dataclasses that JSON can say and give back: {"type": class name, field: value}."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from experiments.labels import key
from flax_tx.errors import UserError, nearest


class Plain:
    """A frozen dataclass of numbers, texts, tuples, mappings and other Plain ones."""

    TYPES: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls) -> None:
        Plain.TYPES[cls.__name__] = cls

    def __post_init__(self) -> None:
        """Lists become tuples and values of mappings keys, so that equality survives JSON."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))

    def to_json(self) -> dict[str, Any]:
        """Dicts and lists, with the name of the class under "type"."""
        fields = {field.name: _encode(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return {"type": type(self).__name__, **fields}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, after any trip through JSON. Raises: UserError for what this class is not."""
        value = _decode(plain)
        if not isinstance(value, cls):
            raise UserError(f"{cls.__name__}: expected an object of that type, got {plain!r:.60}")
        return value


def _frozen(value: Any) -> Any:
    return {name: key(item) for name, item in value.items()} if isinstance(value, Mapping) else key(value)


def _encode(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _encode(item) for name, item in value.items()}
    return [_encode(item) for item in value] if isinstance(value, list | tuple) else value


def _decode(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, Mapping):
        return value
    if "type" not in value:
        return dict(value)
    if value["type"] not in Plain.TYPES:
        raise UserError(f"type {value['type']!r}: unknown to this version{nearest(value['type'], Plain.TYPES)}")
    try:
        return Plain.TYPES[value["type"]](**{name: _decode(item) for name, item in value.items() if name != "type"})
    except TypeError as error:
        raise UserError(f"{value['type']}: {error}; it was written by another version") from None
