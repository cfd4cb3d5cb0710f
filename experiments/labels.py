"""How fields and values read in tables, legends and captions, and how they are compared."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.visible import line

VAGUE = {
    "kind",
    "name",
    "eps",
    "init",
    "data",
    "scale",
    "bias",
    "pre",
    "branch",
    "main",
    "final",
}  # leaves that say too little


PLAIN = (str, int, float, bool, type(None))


def key(value: Any) -> Any:
    """A value of JSON as a dictionary's key: lists are tuples, objects are tuples of pairs."""
    if type(value) in PLAIN:  # what most are; asking for a Mapping is slow
        return value
    if isinstance(value, Mapping):
        return tuple((name, key(item)) for name, item in sorted(value.items()))
    return tuple(key(item) for item in value) if isinstance(value, list | tuple) else value


def short_names(fields: Iterable[str]) -> dict[str, str]:
    """The shortest unambiguous tail of each dotted field: model.norm.kind -> norm.kind."""
    fields = list(dict.fromkeys(fields))
    return {field: _shortest(field, [other for other in fields if other != field]) for field in fields}


def _shortest(field: str, others: list[str]) -> str:
    parts = field.split(".")
    for length in range(2 if parts[-1] in VAGUE else 1, len(parts)):
        tail = ".".join(parts[-length:])
        if not any(other.endswith(f".{tail}") or other == tail for other in others):
            return tail
    return field


def say(value: Any) -> str:
    """A config value in a few characters on one line: 0.003 -> 3e-3, None -> auto, pairs -> name=value."""
    if value is None or isinstance(value, bool):
        return {None: "auto", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return _say_float(value)
    if isinstance(value, tuple | list):
        pair = len(value) == 2 and isinstance(value[0], str)
        return f"{value[0]}={say(value[1])}" if pair else f"[{', '.join(say(item) for item in value)}]"
    return line(value)


def _say_float(value: float) -> str:
    if value and not 0.1 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.4e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.6g}"


def pairs(values: Mapping[str, Any]) -> str:
    """`wiring=post, norm.kind=rms`: fields by their short names with their values."""
    names = short_names(values)
    return ", ".join(f"{names[field]}={say(value)}" for field, value in values.items())


def count(number: float) -> str:
    """A large count in three digits: 304128 -> 304 k, 1.2e9 -> 1.2 G."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def printable(text: str) -> str:
    """Text that a terminal takes for text: control characters are boxes, white space is a space."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(text).split()))
