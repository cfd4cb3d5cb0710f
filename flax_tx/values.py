"""The numbers of a config that are data of the compiled graph, as one nested dict of scalars and small arrays.

Cells of equal structure differ only here, so they share one compilation. Everything per layer is an array
(layers of a run, branches of a block), scanned together with the stacked parameters.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from flax_tx.config import blocks, encoder, task
from flax_tx.initializers import BRANCH, ROLES, SCHEMES
from flax_tx.layout import LAYOUTS, Branch, Steps, kind, steps
from flax_tx.schema import Config, Model
from flax_tx.wiring import GAINS, WIRINGS, Learned, Number, Place


def values(config: Config) -> dict:
    """{"model", "optim", "train", "seed"} -> the numbers, float32 and uint32."""
    return {
        "model": model_values(config.model, task(config.data) == "translate"),
        "optim": scalars(config.optim) | depth_rules(config.model),
        "train": scalars(config.train),
        "seed": {name: np.uint32(seed) for name, seed in dataclasses.asdict(config.seed).items()},
    }


def model_values(model: Model, translates: bool) -> dict:
    """The numbers of embedding, head, decoder (or only) stack, and of the encoder where there is one."""
    scheme, place = SCHEMES[model.settled().init], place_of(model, translates)
    found = {
        "embed_scale": np.float32(model.embed_scale * at(scheme.embedding, place)),
        "head_gain": np.float32(scheme.head),
        "logit_cap": np.float32(model.logit_cap),
        "dropout": scalars(model.dropout),
        "stack": stack_values(model, place),
    }
    if translates:
        found["encoder"] = stack_values(encoder(model), place_of(model, translates, "encoder"))
    return found


def place_of(model: Model, translates: bool, stack: str = "decoder") -> Place:
    """The first place of a stack."""
    own = encoder(model) if stack == "encoder" else model
    shapes = [(block.num_layers, layout(block, translates and stack == "decoder")) for block in blocks(own)]
    return Place(
        layer=1,
        num_layers=own.num_layers,
        num_sublayers=sum(layers * sum(len(branch) for step in block for branch in step) for layers, block in shapes),
        num_steps=sum(layers * len(block) for layers, block in shapes),
        base_layers=model.base_layers,
        stack=stack,
        encoder_layers=encoder(model).num_layers if translates else 0,
        decoder_layers=model.num_layers,
        width=model.width,
        num_streams=model.num_streams,
        history_blocks=model.history_blocks,
    )


def layout(block: Model, cross: bool) -> Steps:
    """The steps of one block."""
    return steps(block.layout, block.num_ffn, cross)


def scalars(group) -> dict:
    """The data fields of one group of the schema."""
    fields = (field.name for field in dataclasses.fields(group) if field.metadata.get("data"))
    return {name: np.float32(getattr(group, name)) for name in fields}


def depth_rules(model: Model) -> dict:
    """The factors on learning rate and Adam's ε of the stack: m^(α-1) and m^-α, m = L/L₀ (CompleteP, table 1)."""
    power = WIRINGS[model.wiring].depth_power
    if power is None:
        return {}
    ratio = model.num_layers / model.base_layers
    return {"stack_rate": np.float32(ratio ** (power - 1)), "stack_eps": np.float32(ratio**-power)}


def stack_values(model: Model, first: Place) -> dict:
    """For each run of blocks the dropout rates and what differs from layer to layer; the starts at the close."""
    cross = first.stack == "decoder" and first.has_partner()
    runs, layer, index = [], 1, 0
    for block in blocks(model):
        shape = layout(block, cross)
        of_branch = [step for step, branches in enumerate(shape) for _ in branches]
        places = [
            [dataclasses.replace(first, layer=layer + i, index=index + i * len(shape) + j) for j in of_branch]
            for i in range(block.num_layers)
        ]
        names = tuple(branch for step in shape for branch in step)
        common = {"rates": scalars(block.dropout), "attention_cap": np.float32(block.attention_cap)}
        runs.append({"common": common, "layers": per_layer(block, names, places)})
        layer, index = layer + block.num_layers, index + block.num_layers * len(shape)
    closing = {name: array for name, array in WIRINGS[model.wiring].trained().items() if array.per == "close"}
    return {"runs": runs, "close": {name: filled(array, first) for name, array in closing.items()}}


def per_layer(block: Model, names: tuple[Branch, ...], places: list[list[Place]]) -> dict:
    """{"layer": name -> (layers, ...), "branch": name -> (layers, branches, ...)} of a run of equal blocks.

    Once per layer: its count, the initial gains of the kernels by role, and the heads that are kept. Once per branch:
    gains that are not one, starts of what is learned, places in the history, shares of stochastic depth.
    """
    first = [row[0] for row in places]
    layers = {
        "layer": np.int32([place.layer for place in first]),
        "init": initial_gains(block, first),
        "heads": kept_heads(block, [place.layer for place in first]),
        "kept": np.bool_([place.layer not in block.pruned_layers for place in first]),
    }
    history = {
        "index": lambda place: place.index,
        "layer": lambda place: place.layer,
        "block": Place.block,
        "newest_block": Place.newest_block,
    }
    return {
        "layer": layers,
        "branch": {name: tabulate(number, places).astype(np.int32) for name, number in history.items()}
        | {"drop": tabulate(lambda place: block.dropout.depth * place.layer / place.num_layers, places)}
        | numeric_gains(block, names, places)
        | {"start": starts(block, places)},
    }


def numeric_gains(block: Model, names: tuple[Branch, ...], places: list[list[Place]]) -> dict[str, np.ndarray]:
    """Name -> (layers, branches): gains that are numbers and not one, with the layout's factor on feed-forward."""
    numbers = {f"{name}_gain": gain for name in GAINS for gain in [numeric_gain(block, name)] if gain is not None}
    table = {name: tabulate(number, places) for name, number in numbers.items()}
    factors = np.float32([LAYOUTS[block.layout].ffn_gain if kind(branch[0]) == "ffn" else 1 for branch in names])
    if np.any(factors != 1):
        table["branch_gain"] = table.get("branch_gain", 1) * np.tile(factors, (len(places), 1))
    return table


def starts(block: Model, places: list[list[Place]]) -> dict[str, np.ndarray]:
    """Name -> (layers, branches, *shape): the initial values of what sublayers and blocks learn."""
    rows = {name: array for name, array in WIRINGS[block.wiring].trained().items() if array.per != "close"}
    return {name: np.stack([[filled(array, place) for place in row] for row in places]) for name, array in rows.items()}


def numeric_gain(block: Model, name: str) -> Number | None:
    """A gain of the config or of the row, or None where it is learned or one."""
    row, asked = WIRINGS[block.wiring], getattr(block.gains, name)
    gain = row.gain(name) if asked is None else asked
    if name == "branch" and asked is None and row.depth_power is not None:
        gain = depth_multiplier(row.depth_power)
    return None if isinstance(gain, Learned) or gain == 1.0 else gain


def depth_multiplier(power: float) -> Callable[[Place], float]:
    """(L / L₀)^-α."""
    return lambda place: (place.num_layers / place.base_layers) ** -power


def initial_gains(block: Model, places: list[Place]) -> dict[str, np.ndarray]:
    """Role -> (layers,): the scheme's gains, or the config's on value, output and feed-forward."""
    scheme, asked = SCHEMES[block.init], block.gains.init
    gains = scheme.gains if asked is None else dict(scheme.gains) | dict.fromkeys(BRANCH, asked)
    sigma = block.init_sd if scheme.sd is None else 1.0
    return {role: np.float32([sigma * at(gains.get(role, 1.0), place) for place in places]) for role in ROLES}


def kept_heads(block: Model, layers: list[int]) -> np.ndarray:
    """(layers, heads): 0 for a pruned head, else 1."""
    kept = np.ones((len(layers), block.num_heads), np.float32)
    for layer, head in block.pruned_heads:
        if layer in layers:
            kept[layers.index(layer), head - 1] = 0
    return kept


def filled(array: Learned, place: Place) -> np.ndarray:
    """The initial value of a learned array at a place, float32."""
    return np.broadcast_to(np.float32(at(array.start, place)), array.dims(place))


def at(number: Number, place: Place):
    """A number, or what a function of the place gives."""
    return number(place) if isinstance(number, Callable) else number


def tabulate(number: Number, places: list[list[Place]]) -> np.ndarray:
    """A number at every branch of a run of blocks: (layers, branches), float32."""
    return np.float32([[at(number, place) for place in row] for row in places])
