"""A field of the schema: its default, what it may be, and whether it is data of the compiled graph."""

import math
from dataclasses import Field, field
from typing import Any

FLOAT32 = (1.2e-38, 3.4e38)  # the smallest and the largest number of full precision


def knob(default: Any, doc: str, **rules) -> Any:
    """A field of the schema. Rules: among (names), low, above, high, below; data (a value that changes no graph); late.

    A knob of data with `off` keeps in the graph only whether it differs from `off`. A knob that is added when cells
    have names already is `late`: at its default it is no part of a name, so that those cells keep theirs.
    """
    return field(default=default, metadata={"doc": doc, **rules})


def group(kind: type) -> Any:
    """A field that is itself a group of fields."""
    return field(default_factory=kind)


def broken_rule(value: Any, rules: Field) -> str:
    """What the value of a knob was expected to be, or nothing when it keeps its rules."""
    meta = rules.metadata
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, float) and value and not FLOAT32[0] <= abs(value) <= FLOAT32[1]:
        return f"expected 0 or a size from {FLOAT32[0]:g} to {FLOAT32[1]:g}, what float32 can hold"
    tests = {
        "low": ("at least", lambda bound: value >= bound),
        "above": ("more than", lambda bound: value > bound),
        "high": ("at most", lambda bound: value <= bound),
        "below": ("less than", lambda bound: value < bound),
    }
    broken = [f"{word} {meta[rule]}" for rule, (word, test) in tests.items() if rule in meta and not test(meta[rule])]
    return f"expected {' and '.join(broken)}" if broken else ""
