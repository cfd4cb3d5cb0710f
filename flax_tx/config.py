"""From what a user wrote to one frozen, checked Config: every problem found at once, each in one line.

values (dotted names, a ConfigDict, a sweep's overrides) -> resolve -> Config or problems
Config -> structure -> what is compiled, without the numbers that are data
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import numbers
import types
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from ml_collections import ConfigDict

from flax_tx import schema
from flax_tx.data import NAMES
from flax_tx.errors import UserError, nearest
from flax_tx.knob import broken_rule
from flax_tx.rules import RULES, SEGMENT_FIELDS, tied_blocks_fill_runs
from flax_tx.schema import Config, Model
from flax_tx.wiring import WIRINGS

SCHEMA_VERSION = 2
SHOWN = 12  # names of a table that a message lists
GROUPS = 4096  # of configs, of which it is remembered what was made of them


@functools.cache
def knobs(kind: type = Config) -> dict[str, dataclasses.Field]:
    """Every field by its dotted name, in order."""
    found = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            found |= {f"{field.name}.{name}": inner for name, inner in knobs(field.type).items()}
        else:
            found[field.name] = field
    return found


def default() -> ConfigDict:
    """The schema with its defaults as a locked ConfigDict, for the get_config() of a sweep file."""
    return ConfigDict(to_dict(Config())).lock()


def to_dict(config: Any) -> dict[str, Any]:
    """A frozen config as plain nested dicts, ready for JSON."""
    values = ((name, is_group, getattr(config, name)) for name, is_group in parts(type(config)))
    plain = {name: to_dict(value) if is_group else value for name, is_group, value in values}
    return plain | {"segments": tuple(map(dict, config.segments))} if "segments" in plain else plain


@functools.cache
def parts(kind: type) -> list[tuple[str, bool]]:
    """The fields of a part of the schema, each with whether it is a group."""
    return [(field.name, dataclasses.is_dataclass(field.type)) for field in dataclasses.fields(kind)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted names; a list or tuple stays a value."""
    flat = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping | ConfigDict) and len(value)
        flat |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def coerce(value: Any, annotation: Any) -> Any:
    """The value in the type of its field (1 is 1.0 for a float); TypeError when it has none."""
    kinds = get_args(annotation) or (annotation,)
    if value is None and types.NoneType in kinds:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        if isinstance(value, tuple | list) and tuple in kinds:
            return tuple(value)
        if type(value) in kinds:
            return value
    elif float in kinds:
        return float(value) + 0.0  # -0.0 is 0.0
    elif int in kinds and value == int(value):
        return int(value)
    raise TypeError


def type_name(annotation: Any) -> str:
    """How a type reads in a message: `a float or None`."""
    names = ["None" if kind is types.NoneType else kind.__name__ for kind in get_args(annotation) or (annotation,)]
    return " or ".join(names)


def listed(names: list[str]) -> str:
    """Names as a message has them: all of a few, the first of many."""
    if len(names) <= SHOWN + 2:
        return ", ".join(names)
    return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more, all in docs/catalogue.md"


def check(name: str, value: Any, field: dataclasses.Field) -> tuple[Any, str]:
    """The value as its field holds it, and what is wrong with it, or nothing."""
    try:
        value = coerce(value, field.type)
    except (TypeError, ValueError, OverflowError):
        return value, f"{name} = {value!r}: expected {type_name(field.type)}, got {type(value).__name__}"
    among = field.metadata.get("among")
    if among is not None and value is not None and value not in among:
        return value, f"{name} = {value!r}: expected one of {listed([*among])}{nearest(value, among)}"
    if field.type is tuple:
        return TUPLES[field.name](name, value)
    broken = "" if value is None else broken_rule(value, field)
    return value, broken and f"{name} = {value!r}: {broken}"


def check_segments(name: str, segments: tuple) -> tuple[Any, str]:
    """Segments as sorted pairs of field and value, and the problems of all of them in one text."""
    kept, problems = [], []
    for index, segment in enumerate(segments):
        where = f"{name}[{index}]"
        try:
            pairs = flatten(dict(segment))
        except (TypeError, ValueError):
            problems.append(f"{where} = {segment!r}: expected a dict of model fields, such as {{'num_heads': 8}}")
            continue
        kept.append([])
        for key, value in sorted(pairs.items()):
            if key not in SEGMENT_FIELDS:
                problems.append(f"{where}.{key} = {value!r}: not a field of a segment{nearest(key, SEGMENT_FIELDS)}")
                continue
            value, problem = check(f"{where}.{key}", value, knobs(Model)[key])
            problems += [problem] * bool(problem)
            kept[-1].append((key, value))
    return tuple(tuple(pairs) for pairs in kept), "\n".join(problems)


def check_pairs(name: str, pairs: tuple) -> tuple[Any, str]:
    """Pairs of counts from 1, sorted, and what is wrong with them."""
    try:
        kept = tuple(sorted({tuple(coerce(number, int) for number in pair) for pair in pairs}))
        if all(len(pair) == 2 and min(pair) >= 1 for pair in kept):
            return kept, ""
    except (TypeError, ValueError, OverflowError):
        pass
    return pairs, f"{name} = {pairs!r}: expected pairs of layer and head, counted from 1, such as ((1, 2), (3, 1))"


def check_counts(name: str, counts: tuple) -> tuple[Any, str]:
    """Counts from 1, sorted, and what is wrong with them."""
    try:
        kept = tuple(sorted({coerce(number, int) for number in counts}))
        if all(number >= 1 for number in kept):
            return kept, ""
    except (TypeError, ValueError, OverflowError):
        pass
    return counts, f"{name} = {counts!r}: expected layers, counted from 1, such as (1, 3)"


TUPLES = {"segments": check_segments, "pruned_heads": check_pairs, "pruned_layers": check_counts}


def put(config: Any, values: Mapping[str, Any]) -> Any:
    """A frozen config with fields replaced by dotted name."""
    here = {name: value for name, value in values.items() if "." not in name}
    groups: dict[str, dict] = {}
    for name, value in values.items():
        head, _, tail = name.partition(".")
        if tail:
            groups.setdefault(head, {})[tail] = value
    here |= {head: put(getattr(config, head), inner) for head, inner in groups.items()}
    return dataclasses.replace(config, **here)


def resolve(values: Mapping[str, Any], base: Config | None = None) -> tuple[Config, list[str]]:
    """The config with `values` (dotted names) put on `base`, and every problem, a line each.

    Fields that are wrong by themselves are left out when the rules between fields are asked.
    """
    fields, kept, problems = knobs(), {}, []
    for name, value in values.items():
        if name not in fields:
            problems.append(f"{name} = {value!r}: no such field{nearest(name, fields)}")
            continue
        right, problem = check(name, value, fields[name])
        problems += problem.splitlines()
        if not problem:
            kept[name] = right
    config = put(base or Config(), kept)
    return config, problems + list(broken_rules(config))


def broken_rules(config: Config) -> Iterator[str]:
    """The problems between fields, each once."""
    runs = blocks(config.model)
    found = [problem for rule in RULES for problem in rule(config, runs)]
    if task(config.data) == "translate":
        reader = dataclasses.replace(config, model=encoder(config.model))
        found += tied_blocks_fill_runs(reader, blocks(reader.model))
    yield from dict.fromkeys(found)


def freeze(config: ConfigDict | Mapping[str, Any]) -> Config:
    """The frozen Config of a ConfigDict or of nested dicts. Raises UserError with every problem."""
    frozen, problems = resolve(flatten(config))
    if problems:
        raise UserError(problems)
    return frozen


def blocks(model: Model) -> tuple[Model, ...]:
    """The runs of equal blocks from the bottom up, each as the settled Model that describes them.

    A segment is a run; a mixed wiring cuts it where its placement changes.
    """
    plain = dataclasses.replace(model, segments=(), num_layers=1)
    segments = [put(plain, dict(segment)) for segment in model.segments] or [model]
    layers = [(i, segment.wiring) for i, segment in enumerate(segments) for _ in range(segment.num_layers)]
    placed = [(i, placement(wiring, layer, len(layers))) for layer, (i, wiring) in enumerate(layers)]
    runs = [(key, len(list(same))) for key, same in itertools.groupby(placed)]
    return tuple(
        dataclasses.replace(segments[i], wiring=wiring, num_layers=count).settled() for (i, wiring), count in runs
    )


def placement(wiring: str, layer: int, num_layers: int) -> str:
    """The wiring of one layer, counted from 0: its own name, or what a mixed wiring has there."""
    runs = WIRINGS[wiring].runs
    return wiring if runs is None else [name for count, name in runs(num_layers) for _ in range(count)][layer]


def task(data: schema.Data) -> str:
    """The task of a data set as far as its name and the config tell: auto where the data set itself must be read."""
    return NAMES[data.name].task if data.task == "auto" and data.name in NAMES else data.task


def encoder(model: Model) -> Model:
    """The stack that reads the source of a translation."""
    depth = model.encoder_layers or model.num_layers
    return dataclasses.replace(model, num_layers=depth, segments=(), pruned_heads=(), pruned_layers=())


@functools.cache
def identity(config: Config) -> str:
    """The name of a cell: a hash of everything that decides its numbers."""
    found: dict[str, Any] = {}
    for name, _ in parts(Config):
        found |= essence_of(name, getattr(config, name))
    return digest(found)


def name_of(plain: Mapping[str, Any], version: int = SCHEMA_VERSION) -> str:
    """The same of a config as nested dicts, before or after a trip through JSON, under a version of the schema."""
    return digest(essence(plain, late()), version)


def digest(found: Mapping[str, Any], version: int = SCHEMA_VERSION) -> str:
    """A hash of what `essence` leaves of a config."""
    return hashlib.sha256(json.dumps([version, found], sort_keys=True).encode()).hexdigest()[:12]


@functools.lru_cache(GROUPS)
def essence_of(name: str, group: Any) -> Mapping[str, Any]:
    """What `essence` leaves of a config that has this group alone: cells share most of their groups."""
    return types.MappingProxyType(essence({name: to_dict(group)}, late()))


@functools.cache
def late(kind: type = Config) -> dict[str, Any]:
    """The defaults of the knobs that came late, as nested dicts."""
    groups = {
        field.name: late(field.type) for field in dataclasses.fields(kind) if dataclasses.is_dataclass(field.type)
    }
    own = {field.name: field.default for field in dataclasses.fields(kind) if field.metadata.get("late")}
    return {name: inner for name, inner in groups.items() if inner} | own


def essence(plain: Mapping[str, Any], absent: Mapping[str, Any]) -> dict[str, Any]:
    """A nested config without what stands in `absent` too, and without groups of which that leaves nothing."""
    kept = {
        name: essence(value, absent.get(name, {})) if isinstance(value, Mapping) else value
        for name, value in plain.items()
    }
    return {name: value for name, value in kept.items() if value != {} and (name, value) not in absent.items()}


def complete(plain: Mapping[str, Any], absent: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A nested config as it was recorded, with the knobs that came since at their default: the same cell."""
    absent = late() if absent is None else absent
    more = {
        name: complete(found, default) if isinstance(default, Mapping) and isinstance(found, Mapping) else found
        for name, default in absent.items()
        for found in [plain.get(name, {} if isinstance(default, Mapping) else default)]
    }
    return {**plain, **more}


def structure(config: Config) -> Config:
    """What is compiled: the config without its numbers of data.

    Such a number stands as its `off` value where it has one and equals it, as None where it is None, and else as one
    and the same number: two configs of equal structure share one compilation.
    """
    return dataclasses.replace(config, **{name: marked(getattr(config, name)) for name, _ in parts(Config)})


@functools.lru_cache(GROUPS)
def marked(group: Any) -> Any:
    """The structure of a group of a config: cells share most of their groups."""
    marks = {
        field.name: marked(value) if dataclasses.is_dataclass(field.type) else mark(value, field)
        for field in dataclasses.fields(group)
        for value in [getattr(group, field.name)]
    }
    return dataclasses.replace(group, **marks)


ON = {"pruned_heads": ((1, 1),), "pruned_layers": (1,)}  # what stands for any value but the empty one


def mark(value: Any, field: dataclasses.Field) -> Any:
    """What the structure keeps of a value: all of it, or only whether it is None or off."""
    if field.name == "segments":
        return tuple(tuple((name, mark(inner, knobs(Model)[name])) for name, inner in pairs) for pairs in value)
    if not field.metadata.get("data") or value is None or value == field.metadata.get("off"):
        return value
    if field.type is tuple:
        return ON[field.name]
    return coerce(2 if field.metadata.get("off") == 1 else 1, field.type)
