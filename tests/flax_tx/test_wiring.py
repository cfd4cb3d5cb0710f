"""Every placement: its numbers, its initial parameters, and which placement it becomes when its gains are one."""

import functools

import jax
import numpy as np
import pytest

from flax_tx.attention import Tokens
from flax_tx.block import Block
from flax_tx.streams import Step
from flax_tx.values import values
from flax_tx.wiring import SLOTS, WIRINGS, same_slots
from tests.flax_tx import reference, tiny

WRITERS = ("value", "out", "in", "gate")
KERNELS = ("kernel", "embedding", "positions")
UNIT = {"model.wiring": "deepnorm", "model.gains.skip": 1, "model.gains.init": 1}


def gains(changes):
    """The per-layer numbers of the only segment."""
    return values(tiny.config(changes))["model"]["segments"][0]["layers"]


@functools.cache
def initial(wiring):
    """The parameters of init for a placement, by path."""
    program, numbers = tiny.cell({"model.wiring": wiring, "model.activation": "swiglu"})
    return dict(jax.tree_util.tree_flatten_with_path(tiny.init(program)(numbers).params)[0])


def kernels(params):
    return {tuple(key.key for key in path): leaf for path, leaf in params.items() if path[-1].key in KERNELS}


@pytest.mark.parametrize(
    ("depth", "alpha", "beta"),
    [(6, 1.861, 0.380), (12, 2.213, 0.319), (24, 2.632, 0.269), (50, 3.162, 0.224), (100, 3.761, 0.188)],
)
def test_deepnorm_constants(depth, alpha, beta):
    found = gains({"model.wiring": "deepnorm", "model.num_layers": depth})
    assert found["skip_gain"].shape == found["init_gain"].shape == (depth, 2)
    np.testing.assert_allclose(found["skip_gain"], alpha, atol=5e-4)
    np.testing.assert_allclose(found["init_gain"], beta, atol=5e-4)


@pytest.mark.parametrize(("depth", "start"), [(18, 0.1), (19, 1e-5), (24, 1e-5), (25, 1e-6)])
def test_layerscale_starts(depth, start):
    found = gains({"model.wiring": "layerscale", "model.num_layers": depth})["branch_start"]
    np.testing.assert_allclose(found, np.full((depth, 2), start), rtol=1e-6)


def test_layers_are_counted_through_the_segments():
    runs = [{"num_layers": 2}, {"num_layers": 3, "num_ffn": 2}]
    config = tiny.config({"model.wiring": "layernorm-scaling", "model.num_layers": 5, "model.segments": runs})
    first, second = (segment["layers"]["pre_gain"] for segment in values(config)["model"]["segments"])
    np.testing.assert_allclose(first, [[1, 1], [2**-0.5] * 2], rtol=1e-6)
    np.testing.assert_allclose(second, [[3**-0.5] * 3, [0.5] * 3, [5**-0.5] * 3], rtol=1e-6)


def test_sublayers_are_counted_through_the_segments():
    runs = [{"num_layers": 2}, {"num_layers": 3, "num_ffn": 2}]
    fields = {"model.wiring": "deepnorm", "model.init": "gpt2", "model.num_layers": 5, "model.segments": runs}
    for segment in values(tiny.config(fields))["model"]["segments"]:
        np.testing.assert_allclose(segment["layers"]["skip_gain"], 13**0.25, rtol=1e-6)
        np.testing.assert_allclose(segment["layers"]["out_init"], 13**-0.5, rtol=1e-6)


@pytest.mark.parametrize("init", ["xavier", "normal"])
def test_writers_to_the_stream_start_like_the_rest(init):
    assert np.all(gains({"model.init": init})["out_init"] == 1)


def test_gains_of_the_config_stand_in_for_those_of_the_row():
    found = gains({"model.wiring": "deepnorm", "model.gains.skip": 3, "model.gains.branch": 0.5})
    assert set(found) == {"skip_gain", "branch_gain", "init_gain", "out_init"}
    assert np.all(found["skip_gain"] == 3) and np.all(found["branch_gain"] == 0.5)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_the_same_seed_gives_the_same_kernels_in_every_placement(wiring):
    mine, plain = kernels(initial(wiring)), kernels(initial("none"))
    assert set(mine) == set(plain)
    for path, kernel in plain.items():
        scaled = wiring == "deepnorm" and path[-2] in WRITERS
        if scaled:
            np.testing.assert_allclose(mine[path], kernel * (4 * 4) ** -0.25, rtol=1e-6)
        else:
            assert tiny.same(mine[path], kernel), path


@pytest.mark.parametrize("wiring", WIRINGS)
def test_parameters_beside_the_kernels_start_as_the_row_says(wiring):
    row, found = WIRINGS[wiring], {}
    for path, leaf in initial(wiring).items():
        names = [key.key for key in path]
        if names[-1] not in KERNELS:
            found["/".join(name for name in names[1:] if name != "segment_0")] = leaf
    slots = [slot for slot in SLOTS[:3] if getattr(row, slot)]
    sites = [f"{sublayer}_add/{slot}_norm" for sublayer in ("attention", "ffn_0") for slot in slots]
    norms = {f"{site}/{kind}" for site in sites + ["final_norm"] * row.final for kind in ("scale", "bias")}
    learned = {"rezero": ["branch_gain"], "layerscale": ["attention_add/branch_gain", "ffn_0_add/branch_gain"]}
    assert set(found) == norms | set(learned.get(wiring, []))
    start = {"scale": 1, "bias": 0, "branch_gain": {"rezero": 0, "layerscale": np.float32(0.1)}.get(wiring)}
    assert all(np.all(leaf == start[name.split("/")[-1]]) for name, leaf in found.items())


def test_names_of_slots_find_their_rows():
    assert same_slots((True, False, False)) == ["pre", "layerscale", "layernorm-scaling"]
    assert same_slots((True, True, True)) == []


def test_deepnorm_with_gains_of_one_is_post_to_the_bit():
    post, numbers = tiny.cell({"model.wiring": "post"})
    deep, deep_numbers = tiny.cell(UNIT)
    state, arrays = tiny.init(post)(numbers), tiny.stream()
    assert tiny.same(state, tiny.init(deep)(deep_numbers))
    one, three = (tiny.chunk(post)(numbers, arrays, state, steps) for steps in (1, 3))
    assert tiny.same(one, tiny.chunk(deep)(deep_numbers, arrays, state, 1))
    assert tiny.same(three, tiny.chunk(deep)(deep_numbers, arrays, state, 3))
    other = values(tiny.config(UNIT | {"model.gains.skip": 1.7}))
    assert not tiny.same(three, tiny.chunk(deep)(other, arrays, state, 3))


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        ({"model.wiring": "layernorm-scaling"}, "pre"),
        ({"model.wiring": "custom", "model.slots.pre": True, "model.slots.final": True}, "pre"),
        ({"model.wiring": "custom", "model.slots.main": True}, "post"),
    ],
    ids=["layernorm-scaling at one layer", "custom with a pre slot", "custom with a main slot"],
)
def test_a_placement_is_another_one_to_the_bit(changes, plain):
    results = []
    for more in (changes, {"model.wiring": plain}):
        program, numbers = tiny.cell({"model.num_layers": 1} | more)
        results.append(tiny.gradients(program)(tiny.params(program), numbers, tiny.batch()))
    assert tiny.same(*results)


def test_rezero_starts_as_the_identity():
    program, numbers = tiny.cell({"model.wiring": "rezero", "model.activation": "swiglu", "model.positions": "none"})
    params, batch = tiny.init(program)(numbers).params, tiny.batch()
    logits = tiny.logits(program)(params, numbers, batch)
    direct = tiny.compiled(lambda table, head, tokens: table[tokens].reshape(-1, 16) @ head)
    assert tiny.same(logits, direct(params["embed"]["embedding"], params["head"]["kernel"], batch["inputs"]))
    grads = tiny.gradients(program)(params, numbers, batch)[1]["stack"]["segment_0"]
    gain = grads.pop("branch_gain")
    assert gain.shape == (2,) and np.all(np.asarray(gain) != 0)
    assert all(np.all(np.asarray(leaf) == 0) for leaf in jax.tree.leaves(grads))


def test_layerscale_with_a_tiny_start_is_nearly_the_identity():
    x = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)
    step = Step(tiny.config({"model.wiring": "layerscale"}).model)
    starts = {"branch_start": np.float32(1e-6)}
    y, variables = step.init_with_output(jax.random.key(0), x, lambda y: 3 * y, starts, {})
    assert variables["params"]["branch_gain"].shape == (16,)
    np.testing.assert_allclose(y - x, 3e-6 * reference.layer_norm(x, 1e-6), atol=2e-7)
    assert np.any(np.asarray(y) != x)


def seven_fold(params):
    """The parameters with the kernels that write to the stream seven times as large."""

    def scale(path, leaf):
        return leaf * np.float32(7 if "['out']" in jax.tree_util.keystr(path) else 1)

    return jax.tree_util.tree_map_with_path(scale, params)


@pytest.mark.parametrize(("wiring", "forgets"), [("sandwich", True), ("branch", True), ("pre", False), ("post", False)])
def test_a_norm_on_the_branch_forgets_the_scale_of_the_writers(wiring, forgets):
    program, numbers = tiny.cell({"model.wiring": wiring})
    params = tiny.params(program)
    before, after = (np.asarray(tiny.logits(program)(p, numbers, tiny.batch())) for p in (params, seven_fold(params)))
    assert (np.abs(after - before).max() < 1e-5 * np.abs(before).max()) == forgets


def test_the_post_stream_has_mean_0_and_variance_1_after_every_block():
    config = tiny.config({"model.wiring": "post", "model.norm.scale": False, "model.norm.bias": False})
    program, numbers = tiny.program(config), values(config)
    stacked = tiny.params(program)["stack"]["segment_0"]
    tokens, rates = Tokens((1, tiny.LENGTH), True), {"attention": 0.0, "branch": 0.0}
    run = tiny.compiled(lambda params, *args: Block(config.model).apply({"params": params}, *args, rates, tokens)[0])
    x = np.random.default_rng(0).normal(3, 5, (tiny.LENGTH, 16)).astype(np.float32)
    for index in range(2):
        pick = functools.partial(jax.tree.map, lambda leaf, i=index: leaf[i])
        x = run(pick(stacked), x, pick(numbers["model"]["segments"][0]["layers"]))
        np.testing.assert_allclose(x.mean(-1), 0, atol=1e-6)
        np.testing.assert_allclose(x.var(-1), 1, atol=1e-5)
