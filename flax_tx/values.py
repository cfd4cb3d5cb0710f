"""The numbers of a config that are data of the compiled graph, as one nested dict of scalars and small arrays.

Cells of equal structure differ only here, so they share one compilation. Everything per layer is an array
(layers of the segment, sublayers of a block), scanned together with the stacked parameters.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from flax_tx.config import blocks
from flax_tx.initializers import SCHEMES
from flax_tx.schema import Config, Model
from flax_tx.wiring import GAINS, WIRINGS, Learned, Number, Place


def values(config: Config) -> dict:
    """{"model", "optim", "train", "seed"} -> the numbers, float32 and uint32."""
    return {
        "model": {
            "embed_scale": np.float32(config.model.embed_scale),
            "dropout": scalars(config.model.dropout),
            "segments": segments(config.model),
        },
        "optim": scalars(config.optim),
        "train": scalars(config.train),
        "seed": {name: np.uint32(seed) for name, seed in dataclasses.asdict(config.seed).items()},
    }


def scalars(group) -> dict:
    """The data fields of one group of the schema."""
    fields = (field.name for field in dataclasses.fields(group) if field.metadata.get("data"))
    return {name: np.float32(getattr(group, name)) for name in fields}


def segments(model: Model) -> list[dict]:
    """For each segment, the dropout rates of its blocks and what differs from layer to layer."""
    runs = blocks(model)
    num_sublayers = sum(block.num_layers * (1 + block.num_ffn) for block in runs)
    first, found = 1, []
    for block in runs:
        places = [Place(first + layer, model.num_layers, num_sublayers) for layer in range(block.num_layers)]
        found.append({"dropout": scalars(block.dropout), "layers": per_layer(block, places)})
        first += block.num_layers
    return found


def per_layer(block: Model, places: list[Place]) -> dict[str, np.ndarray]:
    """Name -> (layers, sublayers) float32: gains that are not one, starts of learned gains, initial scales."""
    row, scheme = WIRINGS[block.wiring], SCHEMES[block.init]
    numbers: dict[str, Number] = {"out_init": scheme.out_gain}
    for name in GAINS:
        asked, gain = getattr(block.gains, name), row.gain(name)
        if isinstance(gain, Learned):
            numbers[f"{name}_start"] = gain.start
        elif name == "init" or (gain if asked is None else asked) != 1.0:
            numbers[f"{name}_gain"] = gain if asked is None else asked
    return {name: tabulate(number, places, 1 + block.num_ffn) for name, number in numbers.items()}


def tabulate(number: Number, places: list[Place], num_sublayers: int) -> np.ndarray:
    """A gain at every sublayer of a run of blocks: (layers, sublayers), float32."""
    column = [number(place) if isinstance(number, Callable) else number for place in places]
    return np.repeat(np.asarray(column, np.float32)[:, None], num_sublayers, axis=1)
