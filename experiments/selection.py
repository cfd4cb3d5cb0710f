"""How a command chooses cells and fields: --where='wiring=pre|deepnorm,norm=rmsnorm' --group_by=wiring --facet=depth

A field goes by its dotted name, by a tail of it (wiring, norm.kind), by a part of it (norm), or by an alias (lr), where
that means one field; fields that vary come before those that every cell has in common. A value goes as tables write it
(3e-3, auto, yes), as Python writes it, or by its label; a number by what it is worth (0.003). Used by compare,
stability and layers; `keep` chooses the rows of records.load.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from experiments.labels import key, say
from experiments.records import ARM
from experiments.tables.trials import columns_of
from flax_tx.config import knobs
from flax_tx.errors import UserError, nearest, together

CALLED = {  # field -> what people call it
    "model.wiring": "placement residual",
    "model.norm.kind": "norm",
    "model.slots.final": "final_norm",
    "model.num_layers": "depth layers",
    "model.width": "dim d_model",
    "model.mlp_dim": "d_ff",
    "model.num_heads": "heads",
    "model.num_kv_heads": "kv_heads",
    "model.num_ffn": "ffn",
    "model.dropout.branch": "dropout",
    "optim.name": "optimizer optimiser",
    "optim.learning_rate": "lr rate",
    "optim.warmup_steps": "warmup",
    "optim.weight_decay": "wd",
    "optim.clip_norm": "clip",
    "train.batch_size": "batch",
    "data.name": "data dataset",
    "data.task": "task",
    "data.seq_len": "length context",
    "data.vocab_size": "vocab",
    "seed.init": "seed",
}
ALIASES = {alias: name for name, aliases in CALLED.items() for alias in aliases.split()}
BETWEEN = re.compile(r",(?=\s*[\w.]+\s*=)(?![^\[\]]*\])")  # commas before a name; those of a list are its own


@dataclass(frozen=True)
class Fields:
    """What cells can be chosen by: every field with the values that occur, and those of them that are axes."""

    values: dict[str, list]
    axes: tuple[str, ...]
    labels: dict[Any, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *sweeps: tuple[Mapping, pd.DataFrame]) -> "Fields":
        """Of the manifests and frames (records.load) of one or several sweeps together."""
        axes = dict.fromkeys(name for manifest, _ in sweeps for name in manifest["axes"])
        named = [name for name in (ARM, *knobs()) if any(name in frame for _, frame in sweeps)]
        tables = [manifest["table"] or {} for manifest, _ in sweeps]
        labels = {key(value): text for table in tables for value, text in table.get("labels", ())}
        values = {name: _values(name, sweeps) for name in dict.fromkeys((*axes, *named))}
        return cls(values, tuple(name for name in values if name in axes or len(values[name]) > 1), labels)

    def named(self, name: str, flag: str) -> str:
        """The field that a name means. Raises: UserError where that is none, or more than one."""
        alias = [known for known in self.values if known == ALIASES.get(name)]
        for found in (matching(name, self.axes), alias, matching(name, self.values)):
            if len(found) == 1:
                return found[0]
            if found:
                raise UserError(f"{flag} {name!r}: expected one field, and it may be {' or '.join(found)}")
        mend = nearest(name, forms(self.axes)) or nearest(name, [*forms(self.values), *ALIASES])
        raise UserError(f"{flag} {name!r}: no such field{mend}")

    def axis(self, name: str, flag: str) -> str:
        """The field that a name means, which must vary. Raises: UserError."""
        found = self.named(name, flag)
        if found not in self.axes:
            raise UserError(
                f"{flag} {name!r}: {found} is {self.say(self.values[found][0])} in every cell; expected a field that "
                f"varies: {', '.join(self.axes)}"
            )
        return found

    def listed(self, text: str, flag: str) -> tuple[str, ...]:
        """`wiring,depth` as fields that vary. Raises: UserError, a line for each that is none."""
        names = [name for name in map(str.strip, text.split(",")) if name]
        return tuple(dict.fromkeys(together(*(partial(self.axis, name, flag) for name in names))))

    def where(self, text: str, flag: str = "where") -> dict[str, tuple]:
        """`wiring=pre|deepnorm,norm=rmsnorm` as field -> the values to keep. Raises: UserError, a line per mistake."""
        conditions = [part.strip() for part in BETWEEN.split(text) if part.strip()]
        found = together(*(partial(self._condition, condition, flag) for condition in conditions))
        names = [name for name, _ in found]
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise UserError(f"{flag} {name}: it is there twice; write {name}=value|value" for name in twice)
        return dict(found)

    def _condition(self, condition: str, flag: str) -> tuple[str, tuple]:
        name, equals, text = map(str.strip, condition.partition("="))
        if not equals:
            raise UserError(f"{flag} {condition!r}: expected field=value or field=value|value")
        name = self.named(name, flag)
        wanted = [text] if self._meant(name, text) else [value.strip() for value in text.split("|")]
        found = together(*(partial(self._found, name, value, flag) for value in wanted))
        return name, tuple(itertools.chain(*found))

    def _meant(self, name: str, text: str) -> list:
        return [value for value in self.values[name] if self.labels.get(value) == text or same(text, value)]

    def _found(self, name: str, text: str, flag: str) -> list:
        if found := self._meant(name, text):
            return found
        there = [self.say(value) for value in self.values[name]]
        if len(there) == 1:
            raise UserError(f"{flag} {name} = {text!r}: every cell has {there[0]}")
        raise UserError(f"{flag} {name} = {text!r}: expected one of {', '.join(there)}{nearest(text, there)}")

    def say(self, value: Any) -> str:
        """A value by its label, or in a few characters."""
        return self.labels.get(value) or say(value)


def forms(names: Iterable[str]) -> list[str]:
    """The last part of each field and the whole of it."""
    return [form for name in names for form in (name.rpartition(".")[2], name)]


def matching(name: str, known: Iterable[str]) -> list[str]:
    """The fields that a name may mean: itself; else by a tail or an alias; else by a part inside."""
    known = list(known)
    if name in known:
        return [name]
    near = [one for one in known if one.endswith(f".{name}") or one == ALIASES.get(name)]
    return near or [one for one in known if f".{name}." in f".{one}."]


def same(text: str, value: Any) -> bool:
    """Whether a text means a value: written alike, or worth the same."""
    if text in (say(value), str(value)):
        return True
    if value is None or isinstance(value, bool):
        return text.casefold() in (say(value), str(value).casefold())
    try:
        return isinstance(value, int | float) and float(text) == value
    except ValueError:
        return False


def keep(frame: pd.DataFrame, where: Mapping[str, Sequence]) -> pd.DataFrame:
    """The rows of records.load that have the chosen values."""
    for name, values in where.items():
        frame = frame[[value in values for (value,) in columns_of(frame, (name,))]]
    return frame


def _values(name: str, sweeps: Sequence[tuple[Mapping, pd.DataFrame]]) -> list:
    """The values of a field: of an axis in its order, of another as they occur; numbers of several sweeps by size."""
    listed = [
        [key(value) for value in manifest["axes"].get(name, ())] or [value for (value,) in columns_of(frame, (name,))]
        for manifest, frame in sweeps
    ]
    values = list(dict.fromkeys(value for values in listed for value in values))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return sorted(values) if len(sweeps) > 1 and numbers else values
