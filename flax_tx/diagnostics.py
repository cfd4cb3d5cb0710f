"""Per-layer statistics: sown in the modules where they arise, reduced over stacked parameters elsewhere."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def rms(x):
    """sqrt(mean(x²)), in float32."""
    return jnp.sqrt(jnp.mean(jnp.square(x.astype(jnp.float32))))


def cosine(a_TxD, b_TxD):
    """The mean over tokens of the cosine between two streams."""
    a, b = a_TxD.astype(jnp.float32), b_TxD.astype(jnp.float32)
    norms = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return jnp.mean(jnp.sum(a * b, axis=-1) / jnp.maximum(norms, 1e-30))


def observe(module: nn.Module, name: str, compute) -> None:
    """Records compute() under `name` when somebody collects diagnostics; costs nothing otherwise."""
    if module.is_mutable_collection("diagnostics") and not module.is_initializing():
        module.sow("diagnostics", name, compute())


def capture(module: nn.Module, name: str, value) -> None:
    """Keeps an array as it is under `name` when somebody probes the model (flax_tx.probes)."""
    if module.is_mutable_collection("probes") and not module.is_initializing():
        module.sow("probes", name, value)


def layer_rms(tree):
    """(L,): the RMS over all entries of a layer, for a tree of arrays stacked on the layer axis."""
    leaves = jax.tree.leaves(tree)
    total = sum(jnp.sum(jnp.square(leaf.reshape(leaf.shape[0], -1)), axis=1) for leaf in leaves)
    return jnp.sqrt(total / sum(leaf[0].size for leaf in leaves))


def per_layer(sown: dict, params: dict, grads: dict, updates: dict) -> dict[str, jax.Array]:
    """Name -> (L,) over the whole stack, from what the blocks sowed and from the stacked parameters.

    The layers of an encoder come before those of its decoder. Sown names are `sublayer.statistic` (stream_rms,
    branch_rms, branch_to_stream, cosine between the stream before and after the sublayer) and attention_logit_max,
    attention_entropy (nats); grad_rms and update_to_param (RMS of the update over RMS of the parameters) are over all
    parameters of a layer, which tied layers have in common.
    """
    runs = [
        segment(*(tree[stack][f"segment_{i}"] for tree in (sown, params, grads, updates)))
        for stack in ("encoder", "stack")
        if stack in params
        for i in range(sum(name.startswith("segment_") for name in params[stack]))
    ]
    names = list(dict.fromkeys(name for run in runs for name in run))
    missing = [jnp.full(run["grad_rms"].shape, jnp.nan) for run in runs]
    return {
        name: jnp.concatenate([run.get(name, gap) for run, gap in zip(runs, missing, strict=True)]) for name in names
    }


def segment(sown: dict, params: dict, grads: dict, updates: dict) -> dict[str, jax.Array]:
    """The statistics of one run of equal blocks, each (L,); what is sown holds one array per tied repeat."""
    found = {}
    for module, statistics in sown.items():
        place = "" if module == "attention" else f"{module.removesuffix('_add')}."
        found |= {f"{place}{name}": jnp.stack(repeats, axis=1).reshape(-1) for name, repeats in statistics.items()}
    repeats = len(next(iter(next(iter(sown.values())).values())))
    update_to_param = layer_rms(updates) / jnp.maximum(layer_rms(params), 1e-30)
    per_group = {"grad_rms": layer_rms(grads), "update_to_param": update_to_param}
    return found | {name: jnp.repeat(column, repeats) for name, column in per_group.items()}
