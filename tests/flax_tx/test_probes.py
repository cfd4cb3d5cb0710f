"""What is measured before the first step, against NumPy in float64; layers that leave the stream as it is."""

import functools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from flax_tx import probes, train
from flax_tx.values import values
from tests.flax_tx import reference, tiny

# five layers in two segments, the first of which shares its parameters two by two
SEGMENTS = ({"num_layers": 4, "tie": 2, "num_heads": 4}, {"num_layers": 1, "num_heads": 2})
PRE = {
    "model.num_layers": 5,
    "model.segments": SEGMENTS,
    "data.name": "uniform",
    "probe.start": True,
    "probe.update": True,
    "probe.scales": True,
}
SANDWICH = {
    **{"model.wiring": "sandwich", "model.num_heads": 1, "data.name": "uniform"},
    **{"probe.start": True, "probe.scales": True},
}
LAYERS = [("segment_0", 0, 4), ("segment_0", 0, 4), ("segment_0", 1, 4), ("segment_0", 1, 4), ("segment_1", 0, 2)]


def begun(changes):
    """What a cell starts with, and what is measured by moving its parameters."""
    config = tiny.config(changes)
    program, numbers, arrays = tiny.program(config), values(config), tiny.load(config.data)
    start, look = (tiny.compiled(functools.partial(each, program)) for each in (probes.start, probes.look))
    params, batch, grads, seen = jax.device_get(start(numbers, arrays))
    look = functools.partial(look, numbers, batch)
    moved = probes.measure(look, program, config.seed.data, params, grads, seen["features"])
    return SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("changes", "start")})


@functools.cache
def pre():
    return begun(PRE)


@functools.cache
def sandwich():
    return begun(SANDWICH)


def forward(params, tokens, without=()):
    """The Pre-LN model of the paper in float64: every (x, branch, x'), every head's (logits, weights), the features
    over their RMS, the logits; layers in `without` (from 0) are left out."""
    params, trace, seen = tiny.wide(params), [], []
    x = params["embed"]["embedding"][tokens] + params["embed"]["positions"]
    for number, (segment, group, heads) in enumerate(LAYERS):
        block = jax.tree.map(lambda leaf, group=group: leaf[group], params["stack"][segment])
        if number not in without:
            x = reference.pre_block(block, x, heads, causal=True, trace=trace, seen=seen)
        else:
            trace += [(x, 0 * x, x)] * 2
    features = reference.norm(params["stack"]["close"]["final_norm"], x)
    logits = features @ params["head"]["kernel"]
    return trace, seen, features / np.sqrt(np.mean(features**2, axis=-1, keepdims=True)), logits


def features_of(params):
    return forward(params, pre().batch["inputs"])[2].reshape(-1, 16)


def size(x):
    return np.sqrt(np.mean(np.square(x)))


def correlation(a, b):
    """The mean over tokens of the correlation coefficient over channels."""
    pairs = zip(a.reshape(-1, 16), b.reshape(-1, 16), strict=True)
    return np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs])


def residual(x):
    """‖X - 1x̄ᵀ‖/‖X‖, the mean over sequences (Dong et al. 2021, section 2)."""
    return np.mean([np.linalg.norm(one - one.mean(axis=0)) / np.linalg.norm(one) for one in x])


def test_stream_and_branches_are_those_of_the_equations():
    seen, (trace, *_) = pre().seen, forward(pre().params, pre().batch["inputs"])
    stream = [trace[0][0]] + [after for _, _, after in trace]
    expected = {
        "stream": [np.mean(x**2) for x in stream],
        "branch": [np.mean(branch**2) for _, branch, _ in trace],
        "turn": [1 - correlation(before, after) for before, _, after in trace],
        "spread": [residual(x) for x in stream],
        "own_share": [correlation(branch, after) ** 2 for _, branch, after in trace],
    }
    for name, numbers in expected.items():
        np.testing.assert_allclose(seen[name], numbers, rtol=1e-4, err_msg=name)


def test_attention_features_and_logits_are_those_of_the_equations():
    seen, (_, heads, features, logits) = pre().seen, forward(pre().params, pre().batch["inputs"])
    layers = np.split(np.arange(len(heads)), np.cumsum([count for *_, count in LAYERS])[:-1])
    entropies = [np.mean([-np.sum(w * np.log(w + 1e-300), -1) for _, w in map(heads.__getitem__, i)]) for i in layers]
    largest = [max(np.abs(z[np.isfinite(z)]).max() for z, _ in map(heads.__getitem__, i)) for i in layers]
    np.testing.assert_allclose(seen["attention_entropy"], entropies, rtol=1e-4)
    np.testing.assert_allclose(seen["attention_logit_max"], largest, rtol=1e-4)
    np.testing.assert_allclose(seen["features"], features.reshape(-1, 16), atol=1e-4)
    np.testing.assert_allclose(seen["logits"], logits.ravel()[::5][:64], atol=1e-4)  # 352 logits
    loss = reference.cross_entropy(logits.reshape(-1, tiny.VOCAB), pre().batch["targets"].ravel()).mean()
    assert seen["loss"] == pytest.approx(loss, rel=1e-5)


def test_logits_have_the_rank_of_a_head_or_of_the_sequence():
    assert tiny.LENGTH == 8
    np.testing.assert_array_equal(pre().seen["attention_rank"], [4] * 4)  # four heads of width 4
    np.testing.assert_array_equal(sandwich().seen["attention_rank"], [8])  # one of width 16


def test_the_start_is_that_of_the_first_training_step():
    """Loss and gradients against those of training; norms by layer and radial cosines taken leaf by leaf."""
    begin = pre()
    state = tiny.init(begin.program)(begin.numbers)
    assert tiny.same(begin.params, state.params)
    first = tiny.compiled(functools.partial(train.gradients, begin.program))
    (loss, _), grads = first(begin.numbers, begin.arrays, state)
    assert begin.seen["loss"] == pytest.approx(float(loss), rel=1e-6)
    names = {name for name in begin.seen if name.startswith(("gradient.", "radial."))}
    for sublayer, kernels in {"attention": ("query", "key", "value", "out"), "ffn_0": ("in", "out")}.items():
        for kernel in kernels:
            pairs = [
                (np.asarray(w, np.float64), np.asarray(g, np.float64))
                for segment in ("segment_0", "segment_1")
                for w, g in zip(
                    *(tree["stack"][segment][sublayer][kernel]["kernel"] for tree in (begin.params, grads)), strict=True
                )
            ]
            norms = [np.linalg.norm(g) for _, g in pairs]
            radial = [np.sum(w * g) / np.linalg.norm(w) / np.linalg.norm(g) for w, g in pairs]
            np.testing.assert_allclose(begin.seen[f"gradient.{sublayer}.{kernel}"], norms, rtol=1e-4)
            np.testing.assert_allclose(begin.seen[f"radial.{sublayer}.{kernel}"], radial, atol=1e-5)
            names -= {f"gradient.{sublayer}.{kernel}", f"radial.{sublayer}.{kernel}"}
    norms = {f"gradient.{name}_add.pre_norm.{kind}" for name in ("attention", "ffn_0") for kind in ("scale", "bias")}
    assert names == norms


def test_an_update_moves_the_features_as_far_as_the_equations_say():
    begin, before = pre(), features_of(pre().params)
    for name, step, direction in (("update_sgd", 1e-3, np.asarray), ("update_sign", 1e-4, np.sign)):
        stack = jax.tree.map(lambda w, g, s=step, d=direction: w - s * d(g), begin.params["stack"], begin.grads)
        moved = features_of(begin.params | {"stack": stack}) - before
        assert begin.moved[name] == pytest.approx(size(moved) / step, rel=5e-3)


def test_the_amplification_is_the_mean_over_draws_of_noise():
    begin, before = pre(), features_of(pre().params)
    draws = [step for step in probes.updates(begin.params["stack"], begin.grads, 0, 3) if step[0] == "amplification"]
    assert len(draws) == begin.config.probe.draws == 3
    squares = []
    for _, step, direction in draws:
        stack = jax.tree.map(lambda w, d, s=step: w + s * d, begin.params["stack"], direction)
        squares.append(np.mean((features_of(begin.params | {"stack": stack}) - before) ** 2) / 1e-3**2)
    assert len(set(squares)) == 3
    assert begin.moved["amplification"] == pytest.approx(np.mean(squares), rel=5e-4)


def test_noise_is_relative_and_on_kernels_alone():
    stack = tiny.params(pre().program)["stack"]
    (_, _, one), (_, _, other) = list(probes.updates(stack, stack, 5, 2))[2:]
    again = list(probes.updates(stack, stack, 5, 2))[2][2]
    assert tiny.same(one, again) and not tiny.same(one, other)
    weights, noise = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (stack, one))
    ratios = []
    for (path, weight), (_, change) in zip(weights, noise, strict=True):
        if path[-1].key == "kernel":
            ratios.append((change / weight).ravel())
        else:
            assert np.any(weight) and not np.any(change), path
    ratios = np.concatenate(ratios)
    assert abs(ratios.mean()) < 0.05 and abs(ratios.std() - 1) < 0.05


def test_an_output_kernel_has_no_scale_under_a_norm_on_the_branch():
    plain, normed = pre(), sandwich()
    for name in ("attention.out", "attention.value", "ffn_0.out"):
        assert normed.moved[f"rescale.{name}"] < 1e-4 < 0.02 < plain.moved[f"rescale.{name}"], name
        assert np.all(np.abs(normed.seen[f"radial.{name}"]) < 1e-4), name
        assert np.all(np.abs(plain.seen[f"radial.{name}"]) > 1e-4), name
    for name in ("attention.query", "ffn_0.in"):
        assert normed.moved[f"rescale.{name}"] > 0.02


def test_scales_are_changed_everywhere_at_once():
    """Doubled kernels in both segments; queries and keys times ten, against the equations."""
    begin, before = pre(), features_of(pre().params)
    kernels = ["attention.query", "attention.key", "attention.value", "attention.out", "ffn_0.in", "ffn_0.out"]
    assert sorted(name for name in begin.moved if name.startswith("rescale.")) == sorted(
        f"rescale.{k}" for k in kernels
    )
    doubled = reference.edited(begin.params, {"ffn_0/in/kernel": lambda w: 2 * w})
    assert begin.moved["rescale.ffn_0.in"] == pytest.approx(size(features_of(doubled) - before), rel=1e-3)
    tenfold = {f"attention/{name}/kernel": lambda w: 10 * w for name in ("query", "key")}
    _, heads, *_ = forward(reference.edited(begin.params, tenfold), begin.batch["inputs"])
    weights = [w for _, w in heads]
    each = [np.mean(-np.sum(w * np.log(w + 1e-300), axis=-1)) for w in weights]
    expected = np.mean([np.mean(each[4 * i : 4 * i + 4]) for i in range(5)])  # the last has two heads
    assert begin.moved["sharp_entropy"] == pytest.approx(expected, rel=1e-3)


def test_angles_are_those_of_blocks_and_nothing_at_a_pruned_layer():
    config = tiny.config(PRE | {"model.pruned_layers": (2,)})
    program, begin = tiny.program(config), pre()
    run = tiny.compiled(functools.partial(probes.angles, program))
    found = np.asarray(run(values(config), begin.params, begin.batch))
    trace, *_ = forward(begin.params, begin.batch["inputs"], without=(1,))
    expected = []
    for (before, *_), (*_, after) in zip(trace[::2], trace[1::2], strict=True):
        cosine = np.sum(before * after, -1) / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
        expected.append(np.mean(np.arccos(np.minimum(cosine, 1))) / np.pi)
    assert expected[1] == pytest.approx(0, abs=1e-8) and min(expected[::2]) > 0.03
    np.testing.assert_allclose(found, expected, atol=5e-4)  # arccos near 1, in float32


@pytest.mark.parametrize("wiring", ["pre", "post"])
def test_a_pruned_layer_is_one_that_is_not_there(wiring):
    (program, _), (short, numbers) = (
        tiny.cell({"model.wiring": wiring, "model.num_layers": depth, "model.pruned_layers": pruned})
        for depth, pruned in ((2, (1,)), (1, ()))
    )
    params, batch = tiny.params(program), tiny.batch()
    for pruned, left in ((1, 1), (2, 0)):
        _, held = tiny.cell({"model.wiring": wiring, "model.pruned_layers": (pruned,)})
        segment = jax.tree.map(lambda leaf, left=left: leaf[left : left + 1], params["stack"]["segment_0"])
        rest = params | {"stack": params["stack"] | {"segment_0": segment}}
        expected = tiny.logits(short)(rest, numbers, batch)
        np.testing.assert_allclose(tiny.logits(program)(params, held, batch), expected, atol=1e-6)
