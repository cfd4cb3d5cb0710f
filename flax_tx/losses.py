"""Cross-entropy, with label smoothing and the z-loss."""

import jax
import jax.numpy as jnp

from flax_tx.schema import Train


def nll(logits_NxV, targets_N):
    """(N,): -log softmax(logits)[target], in nats."""
    is_target_NxV = targets_N[:, None] == jnp.arange(logits_NxV.shape[-1])
    picked = jnp.sum(jnp.where(is_target_NxV, logits_NxV, 0), axis=-1)
    return jax.nn.logsumexp(logits_NxV, axis=-1) - picked


def objective(train: Train, numbers: dict, logits_NxV, targets_N):
    """(what is minimised, the mean cross-entropy), scalars.

    objective = (1-ε) nll + ε (logZ - mean logit) + ζ log²Z (Szegedy et al. 2016; Chowdhery et al. 2022, section 5)
    """
    loss = nll(logits_NxV, targets_N).mean()
    total = loss
    if train.label_smoothing > 0 or train.z_loss > 0:
        log_z_N = jax.nn.logsumexp(logits_NxV, axis=-1)
    if train.label_smoothing > 0:
        uniform = (log_z_N - logits_NxV.mean(axis=-1)).mean()
        total = (1 - numbers["label_smoothing"]) * total + numbers["label_smoothing"] * uniform
    if train.z_loss > 0:
        total = total + numbers["z_loss"] * jnp.square(log_z_N).mean()
    return total, loss
