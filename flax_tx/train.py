"""Training as pure functions: init, a chunk of steps in one call, diagnostics, evaluation.

Each takes a Program (what is compiled: hashable, static), the values (numbers that are data) and the arrays of the
data set, so that every cell of a program runs the same compiled code. Batch t is drawn in the graph from (data seed,
t): there is no iterator to save. Where the config has a mesh, a state is split over its devices from init on, and a
batch as it is drawn; results are held by all of them.
"""

import dataclasses
import functools
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from flax_tx import diagnostics, losses, optim, sharding
from flax_tx.data import batches
from flax_tx.models import Transformer
from flax_tx.reparams import REPARAMS
from flax_tx.schema import Config

PROFILED_SEQUENCES = 4  # random sequences that the model sees at initialisation


class Program(NamedTuple):
    """The structure of a config and what its data set asks of a model."""

    config: Config
    task: str  # a row of flax_tx.models.TASKS
    vocab_size: int
    outputs: int

    def model(self, **changes) -> Transformer:
        return Transformer(dataclasses.replace(self.config.model, **changes), self.task, self.vocab_size, self.outputs)

    def rolled(self) -> "Program":
        """The same with its layers in a loop, which compiles faster: for what runs rarely."""
        model = dataclasses.replace(self.config.model, unroll=1)
        return self._replace(config=dataclasses.replace(self.config, model=model))


@flax.struct.dataclass
class State:
    """A cell between two steps. `bad_step` is the first step whose loss or gradient was not finite, or -1."""

    params: dict
    moments: optax.OptState
    step: jax.Array
    bad_step: jax.Array


def init(program: Program, values: dict) -> State:
    """The state before step 0, from the init seed alone. Layers are drawn in a loop, which compiles fastest.

    The tokens are random, since some wirings measure the variance of their branches at initialisation.
    """
    key = jax.random.key(values["seed"]["init"])
    shape = (PROFILED_SEQUENCES, program.config.data.seq_len)
    tokens = jax.random.randint(jax.random.fold_in(key, 1), shape, 0, program.vocab_size)
    source = tokens if program.task == "translate" else None
    model = program.rolled().model()
    with sharding.over(program.config.mesh):
        found = model.init(key, tokens, values["model"], source_BxM=source, key=jax.random.fold_in(key, 2))
    params = after_step(program, found["params"])
    moments = optim.direction(program.config.optim, values["optim"]).init(params)
    return sharding.place(program.config.mesh, State(params, moments, jnp.int32(0), jnp.int32(-1)))


def after_step(program: Program, params: dict) -> dict:
    """What the model's reparametrisation makes of the parameters, at initialisation and after each step."""
    return REPARAMS[program.config.model.settled().reparam].after_step(params)


def apply(program: Program, params, values: dict, batch: dict, **kwargs):
    """The logits of a batch (and what is mutable)."""
    with sharding.over(program.config.mesh):
        batch = {name: sharding.constrain(array, "batch", *[None] * (array.ndim - 1)) for name, array in batch.items()}
        return program.model().apply(
            {"params": params}, batch["inputs"], values["model"], batch.get("mask"), batch.get("source"), **kwargs
        )


def loss_and_statistics(program: Program, params, values: dict, batch: dict, key, collect: bool):
    """(objective, (cross-entropy, sown diagnostics)) of one batch in training mode."""
    mutable = ["diagnostics"] if collect else []
    logits, sown = apply(program, params, values, batch, rngs={"dropout": key}, mutable=mutable)
    total, loss = losses.objective(program.config.train, values["train"], logits, batch["targets"].reshape(-1))
    return total, (loss, sown)


def gradients(program: Program, values: dict, arrays, state: State, collect: bool = False):
    """((cross-entropy, sown), gradients) of the batch that belongs to state.step."""
    key = jax.random.fold_in(jax.random.key(values["seed"]["data"]), state.step)
    batch = batches.draw(program.config.data, arrays, key, program.config.train.batch_size)
    key = jax.random.fold_in(jax.random.key(values["seed"]["dropout"]), state.step)
    loss = functools.partial(loss_and_statistics, program, values=values, batch=batch, key=key, collect=collect)
    (_, extra), grads = jax.value_and_grad(lambda params: loss(params=params), has_aux=True)(state.params)
    return extra, grads


def updates(program: Program, values: dict, state: State, grads):
    """(updates to the parameters, moments, learning rate) for gradients that are already clipped."""
    config = program.config
    rate = optim.learning_rate(config.optim, values["optim"], state.step, config.train.steps)
    towards, moments = optim.direction(config.optim, values["optim"]).update(grads, state.moments, state.params)
    return jax.tree.map(lambda u: -rate * u, towards), moments, rate


def step(program: Program, values: dict, arrays, state: State) -> tuple[State, dict]:
    """One step. A loss or gradient that is not finite leaves the parameters as they are and is recorded."""
    (loss, _), grads = gradients(program, values, arrays, state)
    norm = optax.tree.norm(grads)
    good = jnp.isfinite(loss) & jnp.isfinite(norm)
    grads = jax.tree.map(lambda g: jnp.where(good, g, 0), optim.clip(values["optim"], grads, norm))
    change, moments, rate = updates(program, values, state, grads)
    moved = after_step(program, jax.tree.map(jnp.add, state.params, change))
    params = jax.tree.map(lambda new, old: jnp.where(good, new, old), moved, state.params)
    bad_step = jnp.where(good, state.bad_step, state.step)
    after = sharding.place(program.config.mesh, State(params, moments, state.step + 1, bad_step))
    return after, {"train_loss": loss, "grad_norm": norm, "learning_rate": rate}


def chunk(program: Program, values: dict, arrays, state: State, num_steps) -> tuple[State, dict]:
    """`num_steps` (at most train.chunk_steps) steps in one call; stops early at a bad step.

    The second result holds (chunk_steps,) float32 per metric, of which the rows of steps that ran are meaningful.
    """
    rows = {name: jnp.zeros(program.config.train.chunk_steps) for name in ("train_loss", "grad_norm", "learning_rate")}
    start, end = state.step, state.step + num_steps

    def body(carry):
        state, rows = carry
        after, metrics = step(program, values, arrays, state)
        rows = {name: row.at[state.step - start].set(metrics[name]) for name, row in rows.items()}
        return after, sharding.whole(program.config.mesh, rows)

    return jax.lax.while_loop(lambda carry: (carry[0].step < end) & (carry[0].bad_step < 0), body, (state, rows))


def diagnose(program: Program, values: dict, arrays, state: State) -> dict:
    """Name -> (num_layers,): the per-layer statistics of the batch that comes next, at the state as it is."""
    (_, sown), grads = gradients(program, values, arrays, state, collect=True)
    grads = optim.clip(values["optim"], grads, optax.tree.norm(grads))
    change, _, _ = updates(program, values, state, grads)
    found = diagnostics.per_layer(sown["diagnostics"], state.params, grads, change)
    return sharding.whole(program.config.mesh, found)


def evaluate(program: Program, values: dict, params, held_out: dict) -> dict:
    """Per held-out sequence, its mean cross-entropy and accuracy: {"loss": (N,), "accuracy": (N,)}.

    held_out: arrays (batches, batch_size, ...), walked one batch after the other.
    """

    def one(batch: dict) -> dict:
        targets = batch["targets"].reshape(-1)
        logits = apply(program, params, values, batch)
        shape = (batch["inputs"].shape[0], -1)
        hits = (logits.argmax(axis=-1) == targets).astype(jnp.float32)
        return {
            "loss": losses.nll(logits, targets).reshape(shape).mean(axis=1),
            "accuracy": hits.reshape(shape).mean(axis=1),
        }

    return sharding.whole(program.config.mesh, jax.lax.map(one, held_out))
