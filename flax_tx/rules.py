"""What must hold between the fields of a config. A rule takes the config and its blocks, and gives lines."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

from flax_tx.data import NAMES
from flax_tx.initializers import BRANCH, SCHEMES
from flax_tx.schema import Config, Model
from flax_tx.wiring import GAINS, SLOTS, WIRINGS, Learned, same_slots

WHOLE_STACK = (
    "width",
    "causal",
    "positions",
    "embed_scale",
    "embed_norm",
    "fixnorm",
    "logit_cap",
    "dtype",
    "unroll",
    "remat",
    "segments",
    "slots.final",
    "encoder_layers",
    "base_layers",
    "reparam",
    "value_residual",
    "pruned_heads",
    "pruned_layers",
    "num_streams",
    "history_blocks",
)
SEGMENT_FIELDS = tuple(
    f"{field.name}.{inner.name}" if inner else field.name
    for field in dataclasses.fields(Model)
    for inner in (dataclasses.fields(field.type) if dataclasses.is_dataclass(field.type) else (None,))
    if (f"{field.name}.{inner.name}" if inner else field.name) not in (*WHOLE_STACK, "dropout.embedding")
)


MODELS = {"lm": "language model", "translate": "translation model"}  # task -> what predicts the next token


def where(config: Config, blocks: tuple[Model, ...], index: int, name: str) -> str:
    """The field that gives run `index` of equal blocks its value: the segment's where it sets it, else the model's."""
    segments = [dict(segment) for segment in config.model.segments]
    below = sum(block.num_layers for block in blocks[:index])  # a mixed wiring cuts a segment into several runs
    ends = itertools.accumulate(segment.get("num_layers", 1) for segment in segments)
    number = sum(end <= below for end in ends)
    own = number < len(segments) and name in segments[number]
    return f"model.segments[{number}].{name}" if own else f"model.{name}"


def heads_divide_width(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        width, heads = block.width, block.num_heads
        if block.head_dim is None and width % heads:
            near = nearest_divisor(width, heads)
            yield (
                f"{where(config, blocks, index, 'num_heads')} = {heads}: expected a divisor of model.width = {width}, "
                f"or a model.head_dim; did you mean {near}?"
            )


def kv_heads_divide_heads(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if block.num_heads % block.kv_heads():
            near = nearest_divisor(block.num_heads, block.kv_heads())
            yield (
                f"{where(config, blocks, index, 'num_kv_heads')} = {block.num_kv_heads}: expected a divisor of "
                f"model.num_heads = {block.num_heads}; did you mean {near}?"
            )


def nearest_divisor(number: int, wish: int) -> int:
    """The divisor of a number that is nearest to a wish."""
    return min((n for n in range(1, number + 1) if number % n == 0), key=lambda n: abs(n - wish))


def rotary_turns_pairs(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        head_dim = block.per_head()
        if block.positions == "rotary" and head_dim % 2:
            name = where(config, blocks, index, "head_dim" if block.head_dim else "num_heads")
            yield f"model.positions = 'rotary': expected an even head width, got {head_dim} ({name})"


def tied_blocks_fill_runs(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if block.num_layers % block.tie:
            yield (
                f"{where(config, blocks, index, 'tie')} = {block.tie}: expected a divisor of {block.num_layers}, the "
                f"layers that stand together; did you mean {nearest_divisor(block.num_layers, block.tie)}?"
            )


def one_stream_kind(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    kinds = {WIRINGS[block.wiring].stream for block in blocks} | {WIRINGS[config.model.wiring].stream}
    if len(kinds) > 1:
        yield f"model.segments: expected wirings with one kind of stream, got {', '.join(sorted(kinds))}"


def first_values_fit(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    widths = sorted({block.kv_heads() * block.per_head() for block in blocks})
    if config.model.value_residual != "none" and len(widths) > 1:
        yield (
            f"model.value_residual = {config.model.value_residual!r}: expected values of one width in all segments, "
            f"got {', '.join(map(str, widths))}"
        )


def macaron_has_two_ffns(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if block.layout == "macaron" and block.num_ffn < 2:
            name = where(config, blocks, index, "num_ffn")
            yield f"{name} = {block.num_ffn}: the layout 'macaron' expects at least 2"


def pruned_heads_exist(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    heads = [block.num_heads for block in blocks for _ in range(block.num_layers)]
    for layer, head in config.model.pruned_heads:
        if layer > len(heads) or head > heads[layer - 1]:
            yield (
                f"model.pruned_heads = {config.model.pruned_heads!r}: no head {head} in a layer {layer}; "
                "expected pairs of layer and head from 1"
            )


def pruned_layers_exist(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    depth = config.model.num_layers
    for layer in config.model.pruned_layers:
        if layer > depth:
            yield (
                f"model.pruned_layers = {config.model.pruned_layers!r}: no layer {layer}; "
                f"expected layers from 1 to {depth}"
            )


def slots_agree_with_wiring(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        row = WIRINGS[block.wiring]
        asked = {slot: getattr(block.slots, slot) for slot in SLOTS[:4]}
        wrong = [slot for slot, value in asked.items() if value is not None and value != getattr(row, slot)]
        if block.wiring == "custom":
            continue
        for slot in wrong:
            wished = tuple(getattr(row, s) if asked[s] is None else asked[s] for s in SLOTS[:4])
            names = same_slots(wished) or ["custom"]
            yield (
                f"{where(config, blocks, index, f'slots.{slot}')} = {asked[slot]}: the wiring '{block.wiring}' has "
                f"{'no' if asked[slot] else 'a'} norm there; with it, it is the wiring '{names[0]}'"
            )


def gains_are_free(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        row = WIRINGS[block.wiring]
        for name in GAINS:
            value, learned = getattr(block.gains, name), isinstance(row.gain(name), Learned)
            if value is not None and (learned or name in row.lacks):
                field, why = where(config, blocks, index, f"gains.{name}"), "learns" if learned else "has no place for"
                yield f"{field} = {value}: the wiring '{block.wiring}' {why} this gain; expected None"


def segments_fill_the_stack(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    total = sum(block.num_layers for block in blocks)
    if total != config.model.num_layers:
        yield f"model.num_layers = {config.model.num_layers}: expected {total}, the layers of model.segments together"


def spectral_kernels_start(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        asked = block.gains.init
        gains = dict(SCHEMES[block.init].gains) | ({} if asked is None else dict.fromkeys(BRANCH, asked))
        if block.reparam == "sigma" and 0 in gains.values():
            name, value = ("init", block.init) if asked is None else ("gains.init", asked)
            yield (
                f"{where(config, blocks, index, name)} = {value!r}: kernels that start at 0 have no spectral norm to "
                "divide by; with model.reparam = 'sigma', expected another"
            )


def warmup_fits(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    if config.optim.warmup_steps > config.train.steps:
        yield f"optim.warmup_steps = {config.optim.warmup_steps:g}: expected at most train.steps = {config.train.steps}"


def language_models_are_causal(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    name, task = config.data.name, config.data.task
    task = NAMES[name].task if task == "auto" and name in NAMES else task
    if config.model.causal is False and task in MODELS and config.train.steps:
        yield f"model.causal = False: a {MODELS[task]} (of {name}) would see its targets; expected True or None"


def probes_fit_steps(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    probe, steps = config.probe, config.train.steps
    if not steps and not probe.any_start():
        yield "train.steps = 0: expected at least 1, or probe.start = True: there is nothing to measure"
    for name in ("layers", "heads"):
        if getattr(probe, name) and not steps:
            yield f"probe.{name} = True: measured after the last step; expected train.steps of at least 1, got 0"
    counts = sorted({block.num_heads for block in blocks})
    if probe.heads and len(counts) > 1:
        yield f"probe.heads = True: expected one number of heads in all segments, got {', '.join(map(str, counts))}"


def sizes_fit_the_mesh(config: Config, blocks: tuple[Model, ...]) -> Iterator[str]:
    mesh = config.mesh
    yield from split_evenly("train.batch_size", config.train.batch_size, {"data": mesh.data, "fsdp": mesh.fsdp})
    yield from split_evenly("model.width", config.model.width, {"fsdp": mesh.fsdp})
    for index, block in enumerate(blocks):
        sizes = {"num_heads": block.num_heads, "num_kv_heads": block.num_kv_heads or 0, "mlp_dim": block.hidden_dim()}
        for name, size in sizes.items():
            yield from split_evenly(where(config, blocks, index, name), size, {"tensor": mesh.tensor})


def split_evenly(name: str, size: int, axes: dict[str, int]) -> Iterator[str]:
    """A line where these axes of the mesh do not divide a size."""
    parts = math.prod(axes.values())
    if size % parts:
        said = " * ".join(f"mesh.{axis}" for axis in axes)
        yield f"{name} = {size}: expected a multiple of {said} = {parts}; did you mean {-(-size // parts) * parts}?"


RULES = (
    heads_divide_width,
    kv_heads_divide_heads,
    rotary_turns_pairs,
    slots_agree_with_wiring,
    gains_are_free,
    segments_fill_the_stack,
    tied_blocks_fill_runs,
    one_stream_kind,
    first_values_fit,
    macaron_has_two_ffns,
    pruned_heads_exist,
    pruned_layers_exist,
    spectral_kernels_start,
    probes_fit_steps,
    warmup_fits,
    language_models_are_causal,
    sizes_fit_the_mesh,
)
