"""What the initial scales do to streams, gradients and updates at depth, against figures calibrated in NumPy.

Width 64, 4 heads, ReLU, no positions, embedding N(0, 1), head N(0, 1/D), norms that learn nothing, 4 sequences of 16
random tokens.
"""

import functools

import jax
import numpy as np
import pytest

from flax_tx import probes
from flax_tx.initializers import SCHEMES
from flax_tx.values import values
from tests.flax_tx import tiny

SETTING = {
    "model.width": 64,
    "model.num_heads": 4,
    "model.activation": "relu",
    "model.positions": "none",
    "model.norm.scale": False,
    "model.norm.bias": False,
    "data.vocab_size": 64,
    "data.seq_len": 16,
    "probe.start": True,
    "probe.update": True,
    "probe.draws": 1,
}
SHALLOW, DEEP, SEEDS = 2, 32, 3

ARMS = {
    name: {"wiring": name} for name in ("post", "pre", "deepnorm", "keel", "sandwich", "branch", "none", "sub-ln")
} | {
    "lns": {"wiring": "layernorm-scaling"},
    "deepscalelm": {"wiring": "deepscalelm"},
    "1/sqrt(S)": {"wiring": "sqrt-depth"},
    "1/S": {"wiring": "inverse-depth"},
    "glm": {"wiring": "deepnorm-glm"},
    "gpt2": {"wiring": "pre", "init": "gpt2", "init_sd": 0.1},
    "t-fixup": {"wiring": "none", "init": "t-fixup"},
}
# arms that differ from another in numbers alone run its program
PROGRAM = {"1/S": "1/sqrt(S)", "glm": "deepnorm", "gpt2": "pre", "t-fixup": "none"}


def config(arm, depth):
    return tiny.config(SETTING | {"model.num_layers": depth} | {f"model.{k}": v for k, v in ARMS[arm].items()})


def program(arm, depth):
    return tiny.program(config(PROGRAM.get(arm, arm), depth), vocab_size=64, outputs=64)


def drawn(arm, depth, seed):
    """Initial parameters: normal draws times the scheme's standard deviations and gains; gains 1, biases 0."""
    found = config(arm, depth)
    numbers, sd = values(found)["model"], SCHEMES[found.model.settled().init].sd or (lambda *shape: 1.0)
    (run,), rng = numbers["stack"]["runs"], np.random.default_rng(seed)

    def draw(path, leaf):
        *_, owner, name = (key.key for key in path)
        noise = rng.normal(size=leaf.shape).astype(np.float32)
        if name == "embedding":
            return numbers["embed_scale"] * noise
        if owner == "head":
            return numbers["head_gain"] / 8 * noise
        if name == "kernel":
            kind = path[-3].key.split("_")[0]
            return sd(*leaf.shape[1:]) * run["layers"]["layer"]["init"][f"{kind}.{owner}"][:, None, None] * noise
        return np.full(leaf.shape, float(name == "scale"), np.float32)

    return jax.tree_util.tree_map_with_path(draw, tiny.shapes(program(arm, depth)).params)


def batch(seed):
    tokens = np.random.default_rng(seed + 100).integers(0, 64, (2, 4, 16), np.int32)
    return {"inputs": tokens[0], "targets": tokens[1]}


@functools.cache
def look(program):
    """(numbers, batch, params) -> what is seen of one forward pass"""
    return tiny.compiled(functools.partial(probes.look, program))


@functools.cache
def stream(arm):
    """Name -> (seeds, ...): the mean square of the stream before every sublayer and after the last, that of every
    branch, and how far each sublayer turns the stream."""
    numbers, run = values(config(arm, DEEP)), look(program(arm, DEEP))
    rows = [run(numbers, batch(seed), drawn(arm, DEEP, seed)) for seed in range(SEEDS)]
    return {name: np.stack([row[name] for row in rows]) for name in ("stream", "branch", "turn")}


def growth(arm):
    """(2 DEEP + 1,): V_k/V_0, the mean square of the stream after k sublayers over that of the embedding."""
    v = stream(arm)["stream"]
    return (v / v[:, :1]).mean(0)


@functools.cache
def sizes(arm, depth):
    """Name -> the mean over seeds of the logarithm of: the gradient of the last W_2, and how far the features move,
    over the size of the step, when the stack does: by SGD, by the sign of the gradient, by noise on every weight."""
    found, numbers, run = {}, values(config(arm, depth)), program(arm, depth)
    for seed in range(SEEDS):
        params, data = drawn(arm, depth, seed), batch(seed)
        _, grads = tiny.gradients(run)(params, numbers, data)
        there = functools.partial(look(run), numbers, data)
        moved = probes.measure(there, run, seed, params, grads["stack"], there(params)["features"])
        last = np.linalg.norm(grads["stack"]["segment_0"]["ffn_0"]["out"]["kernel"][-1])
        rows = {"gradient": last, "sgd": moved["update_sgd"], "sign": moved["update_sign"]}
        for name, number in (rows | {"noise": moved["amplification"] ** 0.5}).items():
            found.setdefault(name, []).append(np.log(number))
    return {name: np.mean(logs) for name, logs in found.items()}


def slope(arm, name):
    """The exponent of the depth."""
    return (sizes(arm, DEEP)[name] - sizes(arm, SHALLOW)[name]) / np.log(DEEP / SHALLOW)


def within(found, bounds):
    assert bounds[0] <= found <= bounds[1], found


@pytest.mark.parametrize(
    ("arm", "bounds"),
    {
        "post": (0.9, 1.1),
        "deepnorm": (0.9, 1.1),
        "keel": (0.9, 1.1),
        "pre": (20, 50),  # 35.8 calibrated
        "sandwich": (54, 74),  # one for every sublayer
        "branch": (54, 74),
        "sub-ln": (270, 390),  # 316
        "lns": (3, 6),  # 3.9
        "1/sqrt(S)": (1.2, 1.6),  # 1.29
        "gpt2": (1.2, 1.6),
        "1/S": (1, 1.02),  # 1.00
        "deepscalelm": (0.8, 1.25),
        "t-fixup": (1, 1.2),
        "none": (1e12, 1e15),  # 1.7e13
    }.items(),
)
def test_growth_of_the_stream_over_63_sublayers(arm, bounds):
    within(growth(arm)[63], bounds)


def test_the_stream_of_sandwich_grows_by_one_per_sublayer():
    k = np.arange(8, 65)
    np.testing.assert_allclose(growth("sandwich")[8:], 1 + k, rtol=0.15)


@pytest.mark.parametrize(("arm", "bounds"), [("pre", (0.8, 1.25)), ("lns", (0.15, 0.45))])
def test_the_power_of_the_sublayer_that_the_stream_grows_by(arm, bounds):
    k = np.arange(4, 64)
    within(np.polyfit(np.log(k), np.log(growth(arm)[4:64]), 1)[0], bounds)


def test_each_sublayer_turns_a_pre_stream_less_and_a_post_stream_always_as_far():
    """1 - cos is about 1/(2k) for Pre-LN, 1 - 1/√(1 + σ²) for Post-LN, σ the size of a branch."""
    k, turns = np.arange(4, 64), {arm: stream(arm)["turn"].mean(0)[4:] for arm in ("pre", "post")}
    powers = {arm: np.polyfit(np.log(k), np.log(turn), 1)[0] for arm, turn in turns.items()}
    within(powers["pre"], (-1.15, -0.8))
    within(powers["post"], (-0.15, 0.15))
    wished = 1 - 1 / np.sqrt(1 + stream("post")["branch"][:, 4:])
    np.testing.assert_allclose(turns["post"].mean(), wished.mean(), rtol=0.2)


# quantity -> arm -> the range of its power of depth; in comments what NumPy found over 2 to 32 layers
POWERS = {
    "gradient": {
        "post": (-0.10, 0.25),  # 0.11
        "pre": (-0.60, -0.38),  # -0.47
        "gpt2": (-0.1, 0.1),  # -0.01
        "deepnorm": (-0.53, -0.47),  # -0.505
        "glm": (-1.05, -0.95),
        "1/sqrt(S)": (-0.55, -0.46),  # -0.51
        "1/S": (-1.05, -0.95),
    },
    "sgd": {"post": (1.2, 2), "pre": (0.7, 1), "gpt2": (0.9, 1.2), "deepnorm": (-0.1, 0.1), "glm": (-1.1, -0.9)},
    "sign": {
        "pre": (0.85, 1.05),  # 0.94
        "gpt2": (0.9, 1.1),  # 1.01
        "deepnorm": (0.4, 0.6),  # 0.48
        "glm": (-0.1, 0.1),  # -0.02
        "1/sqrt(S)": (0.42, 0.62),  # 1 - α for a branch times L^-α
        "1/S": (-0.1, 0.1),
    },
    "noise": {
        "post": (0.35, 0.8),  # 0.55, half the power of the mean square
        "pre": (0.15, 0.33),  # 0.24
        "gpt2": (-0.05, 0.08),  # 0.02
        "deepnorm": (-0.28, -0.22),  # -0.25
        "glm": (-1.05, -0.95),  # -1.00
    },
}


@pytest.mark.parametrize(
    ("quantity", "arm", "bounds"), [(name, *row) for name, arms in POWERS.items() for row in arms.items()]
)
def test_power_of_the_depth(quantity, arm, bounds):
    within(slope(arm, quantity), bounds)


def test_an_update_of_post_is_a_hundred_times_that_of_deepnorm_at_32_layers():
    assert sizes("post", DEEP)["sgd"] - sizes("deepnorm", DEEP)["sgd"] > np.log(100)
    assert abs(sizes("deepnorm", DEEP)["sgd"] - sizes("deepnorm", SHALLOW)["sgd"]) < 0.05


def test_pre_keeps_the_bounds_of_its_theory():
    """One head, uniform attention to all, W_O = 1, every other kernel N(0, 1/D): 1 + l/2 <= V_l <= 1 + 3l/2 (Xiong et
    al. 2020, lemma 2)."""
    shape = {"model.num_layers": 17, "model.num_heads": 1, "model.mlp_dim": 64}
    theory = tiny.config(SETTING | shape | {"model.causal": False, "train.steps": 0})
    lemma = tiny.program(theory, vocab_size=64, outputs=64)
    constants, found = {"query": 0.0, "key": 0.0, "attention/out": np.eye(64)}, []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)

        def draw(path, leaf, rng=rng):
            owner = "/".join(key.key for key in path[:-1])
            kernel = rng.normal(size=leaf.shape) / (1 if owner == "embed" else 8)
            fixed = [value for name, value in constants.items() if owner.endswith(name)]
            return np.float32(np.broadcast_to(fixed[0], leaf.shape) if fixed else kernel)

        params = jax.tree_util.tree_map_with_path(draw, tiny.shapes(lemma).params)
        found.append(look(lemma)(values(theory), batch(seed), params)["stream"][:-1:2])
    layer, v = np.arange(17), np.mean(found, axis=0)
    assert np.all(v >= 0.85 * (1 + layer / 2)) and np.all(v <= 1.15 * (1 + 3 * layer / 2))
