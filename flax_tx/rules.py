"""What must hold between the fields of a config. A rule takes the config and its blocks, and gives lines."""

import dataclasses
from collections.abc import Iterator

from flax_tx.data import NAMES
from flax_tx.schema import Config, Model
from flax_tx.wiring import GAINS, SLOTS, WIRINGS, Learned, same_slots

WHOLE_STACK = ("width", "causal", "positions", "embed_scale", "dtype", "unroll", "segments", "slots.final")
SEGMENT_FIELDS = tuple(
    f"{field.name}.{inner.name}" if inner else field.name
    for field in dataclasses.fields(Model)
    for inner in (dataclasses.fields(field.type) if dataclasses.is_dataclass(field.type) else (None,))
    if (f"{field.name}.{inner.name}" if inner else field.name) not in (*WHOLE_STACK, "dropout.embedding")
)


def where(config: Config, index: int, name: str) -> str:
    """The field that gives block `index` its value: the segment's where it sets it, else the model's."""
    segments = config.model.segments
    return f"model.segments[{index}].{name}" if segments and name in dict(segments[index]) else f"model.{name}"


def heads_divide_width(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        width, heads = block.width, block.num_heads
        if block.head_dim is None and width % heads:
            near = min((n for n in range(1, width + 1) if width % n == 0), key=lambda n: abs(n - heads))
            yield (
                f"{where(config, index, 'num_heads')} = {heads}: expected a divisor of model.width = {width}, "
                f"or a model.head_dim; did you mean {near}?"
            )


def rotary_turns_pairs(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        head_dim = block.head_dim or block.width // block.num_heads
        if block.positions == "rotary" and head_dim % 2:
            name = where(config, index, "head_dim" if block.head_dim else "num_heads")
            yield f"model.positions = 'rotary': expected an even head width, got {head_dim} ({name})"


def slots_agree_with_wiring(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        row = WIRINGS[block.wiring]
        asked = {slot: getattr(block.slots, slot) for slot in SLOTS[:3]}
        wrong = [slot for slot, value in asked.items() if value is not None and value != getattr(row, slot)]
        if block.wiring == "custom":
            continue
        for slot in wrong:
            wished = tuple(getattr(row, s) if asked[s] is None else asked[s] for s in SLOTS[:3])
            names = same_slots(wished) or ["custom"]
            yield (
                f"{where(config, index, f'slots.{slot}')} = {asked[slot]}: the wiring '{block.wiring}' has "
                f"{'no' if asked[slot] else 'a'} norm there; with it, it is the wiring '{names[0]}'"
            )


def gains_are_free(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        for name in GAINS:
            value = getattr(block.gains, name)
            if value is not None and isinstance(WIRINGS[block.wiring].gain(name), Learned):
                field = where(config, index, f"gains.{name}")
                yield f"{field} = {value}: the wiring '{block.wiring}' learns this gain; expected None"


def segments_fill_the_stack(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    total = sum(block.num_layers for block in blocks)
    if total != config.model.num_layers:
        yield f"model.num_layers = {config.model.num_layers}: expected {total}, the layers of model.segments together"


def warmup_fits(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    if config.optim.warmup_steps > config.train.steps:
        yield f"optim.warmup_steps = {config.optim.warmup_steps:g}: expected at most train.steps = {config.train.steps}"


def language_models_are_causal(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    task, name = config.data.task, config.data.name
    if task == "auto" and name in NAMES:
        task = NAMES[name].task
    if config.model.causal is False and task == "lm":
        yield f"model.causal = False: a language model (of {name}) would see its targets; expected True or None"


RULES = (
    heads_divide_width,
    rotary_turns_pairs,
    slots_agree_with_wiring,
    gains_are_free,
    segments_fill_the_stack,
    warmup_fits,
    language_models_are_causal,
)
