"""What is measured of a model before its first step: streams, gradients, attention, and how far an update moves it.

V_k = mean square of the stream after k of S sublayers, Δ_k = 1 - cos(x_k, x_k+1) of centred streams, R_k the share of
the stream that differs between tokens, ‖X - mean‖/‖X‖ (Dong et al. 2021). F are the features that the head reads,
divided by their RMS; a step moves the parameters θ of the blocks alone, embedding and head stay:

    update_sgd     RMS(F(θ - η∇) - F(θ))/η,  η = 1e-3                      (DeepNet, Wang et al. 2022, section 4)
    update_sign    RMS(F(θ - η sign ∇) - F(θ))/η,  η = 1e-4                (the first step of Adam)
    amplification  mean (F(W (1 + ε n)) - F(W))²/ε²,  ε = 1e-3, n normal, W the kernels (Admin, Liu et al. 2020)

`start` and `look` are compiled; what moves the parameters is NumPy, so that a program stays small.
"""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from flax_tx import losses, sharding, train
from flax_tx.config import blocks
from flax_tx.data import batches
from flax_tx.layout import steps
from flax_tx.train import Program

SGD, SIGN, NOISE, SHARP = 1e-3, 1e-4, 1e-3, 10.0  # sizes of the steps, and the factor on queries and keys
SAMPLE = 64  # logits that are kept, for identities between cells


def start(program: Program, values: dict, arrays):
    """(parameters, batch, gradients of the blocks, what is seen of the first forward pass) from the seeds alone."""
    params = train.init(program, values).params
    key = jax.random.fold_in(jax.random.key(values["seed"]["data"]), 0)
    batch = batches.draw(program.config.data, arrays, key, program.config.train.batch_size)

    def loss(stack: dict):
        seen = look(program, values, batch, params | {"stack": stack})
        return seen["loss"], seen

    (_, seen), grads = jax.value_and_grad(loss, has_aux=True)(params["stack"])
    seen |= by_leaf(params["stack"], grads) if program.config.probe.start else {}
    return sharding.whole(program.config.mesh, (params, batch, grads, seen))


def measure(look: Callable, program: Program, seed: int, params: dict, grads: dict, features) -> dict[str, np.ndarray]:
    """The quantities of the config's probes that take steps away from the start; look: parameters -> what is seen."""
    params, grads, features = jax.device_get((params, grads, features))
    found = {}
    if program.config.probe.update:
        for name, size, towards in updates(params["stack"], grads, seed, program.config.probe.draws):
            moved = look(params | {"stack": jax.tree.map(lambda w, d, s=size: w + s * d, params["stack"], towards)})
            found.setdefault(name, []).append(rms(np.asarray(moved["features"]) - features) / size)
        found["amplification"] = [np.mean(np.square(found["amplification"]))]
    if program.config.probe.scales:
        for name in kernels(params["stack"]):
            doubled = look(params | {"stack": scaled(params["stack"], (name,), 2.0)})
            found[f"rescale.{name}"] = [rms(np.asarray(doubled["features"]) - features)]
        sharp = look(params | {"stack": scaled(params["stack"], ("attention.query", "attention.key"), SHARP)})
        found["sharp_entropy"] = [np.mean(sharp["attention_entropy"])]
    return {name: np.asarray(numbers) for name, numbers in found.items()}


def updates(stack: dict, grads: dict, seed: int, draws: int) -> Iterator[tuple[str, float, dict]]:
    """(quantity, size of the step, its direction), one for every perturbation."""
    yield "update_sgd", SGD, jax.tree.map(np.negative, grads)
    yield "update_sign", SIGN, jax.tree.map(lambda g: -np.sign(g), grads)
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        yield "amplification", NOISE, jax.tree_util.tree_map_with_path(functools.partial(shake, rng), stack)


def shake(rng: np.random.Generator, path, weight: np.ndarray) -> np.ndarray:
    """A kernel times normal noise; 0 for gains and norms, which the theory of Admin takes for constants."""
    return weight * rng.standard_normal(weight.shape, np.float32) * (path[-1].key == "kernel")


def scaled(stack: dict, names: tuple[str, ...], factor: float) -> dict:
    """The parameters of the blocks with the kernels of these names times a factor."""

    def scale(path, weight):
        return weight * factor if path[-1].key == "kernel" and name_of(path) in names else weight

    return jax.tree_util.tree_map_with_path(scale, stack)


def rms(x: np.ndarray) -> float:
    """sqrt(mean(x²)), in float64."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def kernels(stack: dict) -> list[str]:
    """The kernels of the blocks by name, `attention.query`; segments have theirs in common."""
    leaves = jax.tree_util.tree_flatten_with_path(stack)[0]
    return list(dict.fromkeys(name_of(path) for path, _ in leaves if path[-1].key == "kernel"))


def name_of(path) -> str:
    """`attention.query` of segment_0/attention/query/kernel: the path without the segment and the word kernel."""
    keys = [key.key for key in path if not key.key.startswith("segment_")]
    return ".".join(keys[:-1] if keys[-1] == "kernel" else keys)


def by_leaf(stack: dict, grads: dict) -> dict[str, jax.Array]:
    """`gradient.NAME` (L,): the norm of the gradient; `radial.NAME` (L,): its cosine with the kernel."""
    norms, radial = {}, {}
    weights, slopes = (jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (stack, grads))
    for (path, weight), (_, slope) in zip(weights, slopes, strict=True):
        if not path[0].key.startswith("segment_"):
            continue
        w, g = (array.reshape(array.shape[0], -1) for array in (weight, slope))
        size = jnp.linalg.norm(g, axis=1)
        norms.setdefault(f"gradient.{name_of(path)}", []).append(size)
        if path[-1].key == "kernel":
            together = jnp.maximum(size * jnp.linalg.norm(w, axis=1), 1e-30)
            radial.setdefault(f"radial.{name_of(path)}", []).append(jnp.sum(w * g, axis=1) / together)
    return {name: jnp.concatenate(runs) for name, runs in (norms | radial).items()}


def look(program: Program, values: dict, batch: dict, params: dict) -> dict[str, jax.Array]:
    """What is seen of one forward pass: loss and features; with probe.start a sample of the logits and statistics of
    the stream too; with it or probe.scales those of attention."""
    asked = program.config.probe
    logits, sown = train.apply(program, params, values, batch, mutable=["probes"])
    sown, flat = sown["probes"], logits.reshape(-1)
    (features,) = sown["head"]["features"]
    runs = [sown["stack"][f"segment_{i}"] for i in range(len(blocks(program.config.model)))]
    found = {
        "loss": losses.nll(logits, batch["targets"].reshape(-1)).mean(),
        "features": features / jnp.maximum(jnp.sqrt(jnp.mean(jnp.square(features), axis=-1, keepdims=True)), 1e-30),
    }
    if asked.start:
        found["logits"] = flat[:: max(1, flat.size // SAMPLE)][:SAMPLE]
        found |= of_stream(program, runs, batch["inputs"].shape[0])
    found |= of_attention(runs) if asked.start or asked.scales else {}
    return sharding.whole(program.config.mesh, found)


def of_stream(program: Program, runs: list[dict], num_sequences: int) -> dict[str, jax.Array]:
    """Statistics of the stream and of the branches that are added to it, over all S sublayers."""
    before, branch, after = (every_step(program, runs, name) for name in ("before", "branch", "after"))
    stream = jnp.concatenate([before[:1], after])
    return {
        "stream": jnp.mean(jnp.square(stream), axis=(1, 2)),
        "branch": jnp.mean(jnp.square(branch), axis=(1, 2)),
        "turn": 1 - correlation(before, after),
        "spread": jax.vmap(lambda x: spread(x.reshape(num_sequences, -1, x.shape[-1])))(stream),
        "own_share": jnp.square(correlation(branch, after)),
    }


def every_step(program: Program, runs: list[dict], name: str):
    """(S, T, D): what every step of the stack captured under a name, in order, in float32."""
    found = []
    for block, run in zip(blocks(program.config.model), runs, strict=True):
        order = steps(block.layout, block.num_ffn, program.task == "translate")
        columns = [jnp.stack(run[f"{step[0][0]}_add"][name], axis=1) for step in order]  # (groups, tied, T, D) each
        found.append(jnp.stack(columns, axis=2).reshape(-1, *columns[0].shape[2:]))
    return jnp.concatenate(found).astype(jnp.float32)


def correlation(a_SxTxD, b_SxTxD):
    """(S,): the mean over tokens of the correlation over channels."""
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (a_SxTxD, b_SxTxD))
    norms = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return jnp.mean(jnp.sum(a * b, axis=-1) / jnp.maximum(norms, 1e-30), axis=-1)


def spread(x_BxLxD):
    """‖X - mean over tokens‖/‖X‖ of each sequence (Frobenius), the mean over sequences."""
    rest = x_BxLxD - x_BxLxD.mean(axis=1, keepdims=True)
    rest_B, all_B = (jnp.sqrt(jnp.sum(jnp.square(x), axis=(1, 2))) for x in (rest, x_BxLxD))
    return jnp.mean(rest_B / jnp.maximum(all_B, 1e-30))


def angles(program: Program, values: dict, params: dict, batch: dict):
    """(L,): the angle between the stream before and after each block, arccos(cos)/π, the mean over tokens (The Curse
    of Depth, Sun et al. 2025, section 2); 0 for a pruned layer."""
    _, sown = train.apply(program, params, values, batch, mutable=["probes"])
    found = []
    for i, block in enumerate(blocks(program.config.model)):
        run, order = sown["probes"]["stack"][f"segment_{i}"], steps(block.layout, block.num_ffn, "source" in batch)
        ends = (run[f"{order[0][0][0]}_add"]["before"], run[f"{order[-1][0][0]}_add"]["after"])
        before, after = (jnp.stack(end, axis=1).reshape(-1, *end[0].shape[1:]).astype(jnp.float32) for end in ends)
        norms = jnp.linalg.norm(before, axis=-1) * jnp.linalg.norm(after, axis=-1)
        cosine = jnp.sum(before * after, axis=-1) / jnp.maximum(norms, 1e-30)
        kept = values["model"]["stack"]["runs"][i]["layers"]["layer"]["kept"]
        found.append(jnp.where(kept, jnp.mean(jnp.arccos(jnp.clip(cosine, -1, 1)), axis=-1) / jnp.pi, 0))
    return sharding.whole(program.config.mesh, jnp.concatenate(found))


def of_attention(runs: list[dict]) -> dict[str, jax.Array]:
    """Per layer the mean entropy of the weights in nats and the largest logit; the rank of the logits per head of
    the first layer, for the first sequence, before a mask."""
    entropies, largest = [], []
    for sown in (run["attention"] for run in runs):
        logits = jnp.stack(sown["logits"], axis=1).reshape(-1, *sown["logits"][0].shape[1:])  # (layers, B, H, L, M)
        weights = jax.nn.softmax(logits, axis=-1)
        entropies.append(jnp.mean(jax.scipy.special.entr(weights).sum(-1), axis=(1, 2, 3)))
        largest.append(jnp.max(jnp.where(logits > -1e29, jnp.abs(logits), 0), axis=(1, 2, 3, 4)))
    first = runs[0]["attention"]["scores"][0][0, 0]
    return {
        "attention_entropy": jnp.concatenate(entropies),
        "attention_logit_max": jnp.concatenate(largest),
        "attention_rank": jnp.linalg.matrix_rank(first, rtol=1e-5).astype(jnp.float32),
    }
