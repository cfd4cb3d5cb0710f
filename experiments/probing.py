"""The probes of a program: what is compiled for them, and the quantities of one cell as rows of probes.parquet."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from flax_tx import probes, train
from flax_tx.compilation import COMPILE_AT_ONCE, COMPILE_QUICKLY, known
from flax_tx.config import Config, put, structure
from flax_tx.train import Program
from flax_tx.values import values

PRUNED = {"model.pruned_layers": (1,), "model.pruned_heads": ((1, 1),)}
Quantities = dict[str, np.ndarray]


@dataclass(frozen=True)
class Start:
    """What is measured before the first step, compiled; hardly optimised, since it runs only a few times."""

    program: Program
    begin: Any
    look: Any

    @classmethod
    def compile(cls, program: Program, numbers: dict, arrays: dict) -> "Start":
        """Both functions for the shapes of a program."""
        options = known(COMPILE_AT_ONCE)
        begin, look = (
            jax.jit(functools.partial(function, program), compiler_options=options)
            for function in (probes.start, probes.look)
        )
        moved = program.config.probe.update or program.config.probe.scales
        shapes = jax.eval_shape(begin, numbers, arrays) if moved else ()
        return cls(
            program,
            begin.lower(numbers, arrays).compile(),
            look.lower(numbers, shapes[1], shapes[0]).compile() if moved else None,
        )

    def measure(self, config: Config, arrays: dict) -> Quantities:
        """Every quantity of a cell before its first step."""
        numbers = values(config)
        params, batch, grads, seen = jax.device_get(self.begin(numbers, arrays))
        look = functools.partial(self.look, numbers, batch) if self.look else None
        more = probes.measure(look, self.program, config.seed.data, params, grads, seen["features"])
        return {name: array for name, array in seen.items() if name != "features"} | more


@dataclass(frozen=True)
class End:
    """What is measured after the last step: `losses` evaluates with layers or heads held at nothing."""

    angles: Any
    losses: Callable

    @classmethod
    def compile(cls, config: Config, program: Program) -> "End":
        """The functions of a program."""
        pruned = program._replace(config=structure(put(config, PRUNED)))
        return cls(
            jax.jit(functools.partial(probes.angles, program), compiler_options=known(COMPILE_QUICKLY)),
            jax.jit(functools.partial(train.evaluate, pruned), compiler_options=known(COMPILE_QUICKLY)),
        )

    def measure(self, config: Config, params: dict, held_out: dict, count: int) -> Quantities:
        """Every quantity of a cell after its last step, on the first `count` of the validation sequences."""
        found, model = {}, config.model
        loss = functools.partial(self.loss, config, params, held_out, count)
        if config.probe.layers:
            batch = jax.tree.map(lambda array: array[0], held_out)
            found["angle"] = np.asarray(self.angles(values(config), params, batch))
            layers = range(1, model.num_layers + 1)
            found["layer_loss"] = np.array([loss({"model.pruned_layers": (layer,)}) for layer in layers]) - loss({})
        if config.probe.heads:
            heads = [(1 + i, 1 + j) for i, j in np.ndindex(model.num_layers, model.num_heads)]
            costs = np.array([loss({"model.pruned_heads": (head,)}) for head in heads]) - loss({})
            found["head_loss"] = costs.reshape(model.num_layers, model.num_heads)
        return found

    def loss(self, config: Config, params: dict, held_out: dict, count: int, pruned: dict) -> float:
        """The mean validation loss of the model without what is pruned."""
        scores = self.losses(values(put(config, pruned)), params, held_out)
        return float(np.asarray(scores["loss"], np.float64).reshape(-1)[:count].mean())


def rows(quantities: Quantities) -> dict[str, np.ndarray]:
    """The columns of probes.parquet: quantity, index from 0, head from 1 (the columns of a matrix, else 0), value."""
    names, index, head, value = [], [], [], []
    for name, array in quantities.items():
        array = np.asarray(array, np.float64)
        places = list(np.ndindex(array.shape))
        names += [name] * len(places)
        index += [place[0] if place else 0 for place in places]
        head += [place[1] + 1 if len(place) > 1 else 0 for place in places]
        value += array.ravel().tolist()
    return {"quantity": names, "index": np.int32(index), "head": np.int32(head), "value": np.float64(value)}
