"""Batches as pure functions of the arrays and a key, for use inside jit: no iterator has a state to save.

    lm        {"inputs": int32 [B, L], "targets": int32 [B, L]}, targets one token ahead
    classify  {"inputs": int32 [B, L], "mask": bool [B, L], "targets": int32 [B]}, mask false on padding
    translate {"inputs": int32 [B, L], "source": int32 [B, L], "targets": int32 [B, L]}, inputs what the decoder reads:
              the targets one place later, opened by token 0

`arrays` comes from `flax_tx.data.load` and must be an argument of the jitted function, since a constant would be
compiled in; `data` is static. Training windows and documents are drawn with replacement.

Held-out synthetic sequences can share no key with training: the highest bit of a key's first word is cleared in `draw`
and set in `held_out`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from flax_tx.data import chains, induction

Batch = dict[str, jax.Array]
HIGH_BIT = np.uint32(1 << 31)
HELD_OUT = {"validation": 0, "test": 1}


def draw(data, arrays: dict[str, jax.Array], key: jax.Array, batch_size: int) -> Batch:
    """A training batch; equal keys give equal batches."""
    arrays = jax.tree.map(jnp.asarray, arrays)
    if "train_tokens" in arrays:
        count = arrays["train_labels"].shape[0]
        return _documents(arrays, "train", jax.random.randint(key, (batch_size,), 0, count))
    if "train" in arrays:
        starts_B = jax.random.randint(key, (batch_size,), 0, arrays["train"].shape[0] - data.seq_len)
        return _windows(arrays["train"], starts_B, data.seq_len)
    words = jax.random.key_data(key)
    training_key = jax.random.wrap_key_data(words.at[0].set(words[0] & ~HIGH_BIT), impl=jax.random.key_impl(key))
    return SAMPLERS[data.name](data, arrays, training_key, batch_size)


def held_out(data, arrays: dict[str, jax.Array], split: str, count: int) -> Batch:
    """The same batch at every call, from `split` ("validation" or "test"), of at most `count` rows.

    lm: windows spread evenly from the first byte to the last, as many as fit without overlap. classify: the first
    documents, in stored order (which is shuffled). Synthetic: always `count` sequences.
    """
    arrays = jax.tree.map(jnp.asarray, arrays)
    if "train_tokens" in arrays:
        return _documents(arrays, split, slice(count))
    if "train" in arrays:
        size, window = arrays[split].shape[0], data.seq_len + 1
        fitting = min(count, size // window)
        starts_B = np.arange(fitting) * (size - window) // max(fitting - 1, 1)
        return _windows(arrays[split], starts_B.astype(np.int32), data.seq_len)
    key = jax.random.wrap_key_data(jnp.array([HIGH_BIT, HELD_OUT[split]], jnp.uint32), impl="threefry2x32")
    return SAMPLERS[data.name](data, arrays, key, count)


def _documents(arrays: dict[str, jax.Array], split: str, rows) -> Batch:
    tokens_BxL, lengths_B = arrays[f"{split}_tokens"][rows], arrays[f"{split}_lengths"][rows]
    mask_BxL = jnp.arange(tokens_BxL.shape[1]) < lengths_B[:, None]
    return {"inputs": tokens_BxL.astype(jnp.int32), "mask": mask_BxL, "targets": arrays[f"{split}_labels"][rows]}


def _windows(stream_N: jax.Array, starts_B, seq_len: int) -> Batch:
    cut = jax.vmap(lambda start: jax.lax.dynamic_slice(stream_N, (start,), (seq_len + 1,)))
    return _shifted(cut(starts_B).astype(jnp.int32))


def _shifted(tokens_BxL1: jax.Array) -> Batch:
    return {"inputs": tokens_BxL1[:, :-1], "targets": tokens_BxL1[:, 1:]}


def _run_chain(data, arrays: dict[str, jax.Array], key: jax.Array, count: int) -> Batch:
    """From a `chains.Chain`, started in its stationary distribution."""
    chain, (start_key, rule_key, fresh_key) = chains.CHAINS[data.name], jax.random.split(key, 3)
    steps = data.seq_len + 1 - chain.order
    by_rule_TxB = jax.random.uniform(rule_key, (steps, count)) < arrays["strength"]
    fresh_TxB = _inverse(arrays["fresh_cdf"], jax.random.uniform(fresh_key, (steps, count)))

    def step(context, drawn):
        by_rule_B, fresh_B = drawn
        token_B = jnp.where(by_rule_B, chains.rule(chain, arrays["permutations"], context), fresh_B)
        return (*context[1:], token_B), token_B

    start = ()
    for position, uniform_B in enumerate(jax.random.uniform(start_key, (chain.order, count))):
        cdf_BxV = jnp.broadcast_to(arrays[f"start_cdf_{position}"][start], (count, data.vocab_size))
        start += (jax.vmap(_inverse)(cdf_BxV, uniform_B),)
    _, rest_TxB = jax.lax.scan(step, start, (by_rule_TxB, fresh_TxB))
    return _shifted(jnp.concatenate([jnp.stack(start), rest_TxB]).T)


def _walk_block(data, arrays: dict[str, jax.Array], key: jax.Array, count: int) -> Batch:
    """A block of distinct tokens, then a walk with jumps inside it."""
    block, (block_key, walk_key, jump_key) = induction.block_length(data), jax.random.split(key, 3)
    steps = data.seq_len + 1 - block
    order_BxV = jnp.argsort(jax.random.uniform(block_key, (count, data.vocab_size)), axis=1)
    walks_BxT = jax.random.uniform(walk_key, (count, steps)) < arrays["strength"]
    jumps_BxT = jax.random.randint(jump_key, (count, steps), 0, block)
    time_T = jnp.arange(steps)
    jumped_at_BxT = jax.lax.cummax(jnp.where(walks_BxT, -1, time_T), axis=1)
    shift_BxT = jnp.take_along_axis(jumps_BxT, jnp.maximum(jumped_at_BxT, 0), axis=1)  # uniform, anew at each jump
    place_BxT = (jnp.where(jumped_at_BxT < 0, 0, shift_BxT) + time_T) % block
    later_BxT = jnp.take_along_axis(order_BxV, place_BxT, axis=1)
    return _shifted(jnp.concatenate([order_BxV[:, :block], later_BxT], axis=1).astype(jnp.int32))


def _independent(data, arrays: dict[str, jax.Array], key: jax.Array, count: int) -> Batch:
    """Every token by itself."""
    return _shifted(jax.random.randint(key, (count, data.seq_len + 1), 0, data.vocab_size))


def _translate(data, arrays: dict[str, jax.Array], key: jax.Array, count: int) -> Batch:
    """Sources of independent words, and their translations with neighbours swapped."""
    uniform_3xBxL = jax.random.uniform(key, (3, count, data.seq_len))
    by_lexicon_BxL = uniform_3xBxL[0] < arrays["strength"]
    source_BxL, fresh_BxL = _inverse(arrays["word_cdf"], uniform_3xBxL[1:])
    sigma_L = jnp.minimum(jnp.arange(data.seq_len) ^ 1, data.seq_len - 1)
    targets_BxL = jnp.where(by_lexicon_BxL, arrays["lexicon"][source_BxL[:, sigma_L]], fresh_BxL)
    inputs_BxL = jnp.pad(targets_BxL[:, :-1], ((0, 0), (1, 0)))
    return {"inputs": inputs_BxL, "source": source_BxL, "targets": targets_BxL}


def _inverse(cdf_V: jax.Array, uniform: jax.Array) -> jax.Array:
    """The token whose interval of the cumulative distribution holds `uniform`, int32."""
    return jnp.searchsorted(cdf_V, uniform, side="right").astype(jnp.int32)


SAMPLERS = dict.fromkeys(chains.CHAINS, _run_chain) | {
    "induction": _walk_block,
    "translation": _translate,
    "uniform": _independent,
}
