"""Optimisers and schedules against NumPy in float64; their numbers are data of one trace."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flax_tx import optim, train
from flax_tx.config import knobs, structure
from flax_tx.schema import SCHEDULES
from flax_tx.values import values
from tests.flax_tx import changes, tiny

STEPS = 20
TREE = {
    "embed": {"embedding": (3, 4), "positions": (5, 4)},
    "layer": {"kernel": (2, 4, 4), "bias": (2, 4)},
    "norm": {"scale": (2, 4), "bias": (2, 4)},
    "branch_gain": (2,),
}
IS_SHAPE = {"is_leaf": lambda leaf: isinstance(leaf, tuple)}
DECAYED = {"['embed']['embedding']", "['layer']['kernel']"}


def draw(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda shape: rng.normal(0, scale, shape).astype(np.float32), TREE, **IS_SHAPE)


PARAMS = draw(0)
GRADS = [draw(seed, scale) for seed, scale in zip(range(1, STEPS + 1), [1, 10, 0.1, 3] * 5, strict=True)]


def expected_rate(fields, step):
    """Linear warm-up over W steps to the peak, then the schedule over the rest."""
    peak, warmup, floor = fields["learning_rate"], fields["warmup_steps"], fields["final_fraction"]
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / (STEPS - warmup)
    decay = {
        "constant": 1.0,
        "cosine": floor + (1 - floor) * (1 + np.cos(np.pi * done)) / 2,
        "linear": 1 - (1 - floor) * done,
        "inverse_sqrt": (max(warmup, 1) / (step + 1)) ** 0.5,
    }
    return peak * decay[fields["schedule"]]


def expected_params(fields):
    """Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2; SGD with momentum."""
    b1, b2, eps, decay = (fields[name] for name in ("beta1", "beta2", "eps", "weight_decay"))
    params = {path: leaf.astype(np.float64) for path, leaf in flat(PARAMS).items()}
    m, v = ({path: np.zeros(leaf.shape) for path, leaf in params.items()} for _ in range(2))
    for step, grads in enumerate(GRADS):
        for path, g in flat(grads).items():
            g = np.float64(g)
            v[path] = b2 * v[path] + (1 - b2) * g**2
            if fields["name"] == "sgd":
                m[path] = towards = b1 * m[path] + g
            else:
                m[path] = b1 * m[path] + (1 - b1) * g
                towards = m[path] / (1 - b1 ** (step + 1)) / (np.sqrt(v[path] / (1 - b2 ** (step + 1))) + eps)
            if path in DECAYED and fields["name"] != "adam":
                towards = towards + decay * params[path]
            params[path] = params[path] - expected_rate(fields, step) * towards
    return params


def flat(tree):
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def state(config):
    moments = optim.direction(config.optim, values(config)["optim"]).init(PARAMS)
    return train.State(PARAMS, moments, np.int32(0), np.int32(-1))


@functools.cache
def trained(program):
    """values -> (parameters after every gradient of GRADS, learning rates)."""

    def run(numbers, grads):
        def step(state, grads):
            change, moments, rate = train.updates(program, numbers, state, grads)
            params = jax.tree.map(jnp.add, state.params, change)
            return train.State(params, moments, state.step + 1, state.bad_step), rate

        final, rates = jax.lax.scan(step, jax.tree.map(jnp.asarray, state(program.config)), grads)
        return final.params, rates

    return tiny.compiled(run)


FIELDS = {
    "learning_rate": 0.03,
    "warmup_steps": 4.0,
    "final_fraction": 0.2,
    "weight_decay": 0.5,
    "beta1": 0.8,
    "beta2": 0.95,
    "eps": 1e-3,
}


@pytest.mark.parametrize(
    ("name", "schedule"), [*(("adamw", schedule) for schedule in SCHEDULES), ("adam", "linear"), ("sgd", "cosine")]
)
def test_twenty_steps_are_those_of_numpy(name, schedule):
    for warmup in (4.0, 0.0):
        fields = FIELDS | {"name": name, "schedule": schedule, "warmup_steps": warmup}
        config = tiny.config({f"optim.{key}": value for key, value in fields.items()})
        grads = jax.tree.map(lambda *leaves: np.stack(leaves), *GRADS)
        params, rates = trained(tiny.program(config))(values(config), grads)
        np.testing.assert_allclose(rates, [expected_rate(fields, step) for step in range(STEPS)], rtol=1e-5)
        wished = expected_params(fields)
        for path, leaf in flat(params).items():
            moved = np.abs(wished[path] - flat(PARAMS)[path]).max()
            np.testing.assert_allclose(leaf, wished[path], rtol=1e-5, atol=1e-5 * moved, err_msg=path)


def test_kernels_and_token_embeddings_alone_are_decayed():
    everything = {
        "model.wiring": "layerscale",
        "model.bias": True,
        "model.qk_norm": "layernorm",
        "model.activation": "swiglu",
    }
    marks = optim.decayed(tiny.shapes(tiny.cell(everything)[0]).params)
    names = {path.split("['")[-1][:-2] for path, mark in flat(marks).items() if not mark}
    assert names == {"scale", "bias", "branch_gain", "positions"}
    assert {path.split("['")[-1][:-2] for path, mark in flat(marks).items() if mark} == {"kernel", "embedding"}


def test_clipping_shortens_and_keeps_the_direction():
    grads, norm = GRADS[0], np.sqrt(sum((leaf.astype(np.float64) ** 2).sum() for leaf in jax.tree.leaves(GRADS[0])))
    for bound, factor in ((norm / 4, 0.25), (norm * 2, 1.0), (0.0, 1.0)):
        clipped = optim.clip({"clip_norm": np.float32(bound)}, grads, np.float32(norm))
        jax.tree.map(lambda c, g, f=factor: np.testing.assert_allclose(c, f * g, rtol=1e-5), clipped, grads)


GAINS = {f"model.gains.{name}": 1.5 for name in ("pre", "branch", "skip", "init")}
ON = {
    "model.dropout.embedding": 0.1,
    "model.dropout.attention": 0.1,
    "model.dropout.branch": 0.1,
    "model.dropout.depth": 0.1,
    "model.attention_cap": 10.0,
    "model.logit_cap": 10.0,
    "model.pruned_heads": ((1, 1),),
    "model.pruned_layers": (1,),
    "train.label_smoothing": 0.05,
    "train.z_loss": 0.01,
    "model.wiring": "custom",
    "model.slots.pre": True,
    **GAINS,
}


def test_cells_that_differ_in_data_share_one_trace():
    traces = []

    def counted(program, *args):
        traces.append(program)
        return train.chunk(program, *args)

    run = tiny.compiled(counted, static_argnums=0)
    cells = [ON] + [ON | {name: changes.ALL[name][0]} for name, field in knobs().items() if field.metadata.get("data")]
    start, losses = tiny.init(tiny.program(tiny.config(ON)))(values(tiny.config(ON))), []
    for config in map(tiny.config, cells):
        program = train.Program(structure(config), "lm", tiny.VOCAB, tiny.VOCAB)
        losses.append(float(run(program, values(config), tiny.stream(), start, 3)[1]["train_loss"].sum()))
    assert len(traces) == 1
    assert len(cells) > 20 and len(set(losses)) > 14
