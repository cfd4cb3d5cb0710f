"""Markov chains of short memory: `markov1`, `markov2`, `lookup` and `lookups`.

A chain emits, with fresh ~ Zipf(1) over V tokens (p_c proportional to 1 / (c + 1)),

    x_t = (sum_i pi_i[x_{t - lag_i}]) mod V   with probability `strength`,   else fresh,

and starts from its stationary distribution, so that every window of it looks alike.

| name    | lags | pi                 | strength | needs                                             |
|---------|------|--------------------|----------|---------------------------------------------------|
| markov1 | 1    | fixed cycle        | 0.8      | no attention at all                               |
| markov2 | 1, 2 | fixed cycles       | 0.6      | one look-up                                       |
| lookup  | 1, 3 | identity           | 0.8      | one look-up (the last token is at hand)           |
| lookups | 2, 3 | fixed cycles       | 0.8      | two look-ups at once, told apart                  |

A draw has seq_len + 1 tokens, of which the last seq_len are predicted, each from all before it. The first predictions
of a chain of order k see fewer than k tokens; H* counts them as they are.
"""

import dataclasses
from functools import lru_cache

import numpy as np

from flax_tx.data.distributions import cdf, cycle, entropy, mixture_entropies, zipf

MAX_STATES = 2**18  # of the order-k chain: vocab_size ** k


@dataclasses.dataclass(frozen=True)
class Chain:
    """One row of the table above."""

    lags: tuple[int, ...]
    cyclic: bool
    strength: float

    @property
    def order(self) -> int:
        """Number of preceding tokens that decide the next."""
        return max(self.lags)

    @property
    def max_vocab(self) -> int:
        """The most tokens whose contexts are no more than `MAX_STATES`."""
        return int(MAX_STATES ** (1 / self.order) + 1e-9)


CHAINS = {
    "markov1": Chain(lags=(1,), cyclic=True, strength=0.8),
    "markov2": Chain(lags=(1, 2), cyclic=True, strength=0.6),
    "lookup": Chain(lags=(1, 3), cyclic=False, strength=0.8),
    "lookups": Chain(lags=(2, 3), cyclic=True, strength=0.8),
}


def rule(chain: Chain, permutations, context):
    """The chain's likeliest next token; `context` is the preceding tokens, the last at the end (NumPy or JAX)."""
    terms = [permutation[context[-lag]] for permutation, lag in zip(permutations, chain.lags, strict=True)]
    return sum(terms[1:], terms[0]) % permutations.shape[1]


def arrays(data, strength: float) -> dict[str, np.ndarray]:
    """fresh_cdf [V], permutations [lags, V], and start_cdf_j [V] * (j + 1) = P(x_j <= c | x_0..x_{j-1})."""
    joint = _stationary(data.name, data.vocab_size, strength)
    order = joint.ndim
    marginals = [np.ones(())] + [joint.sum(axis=tuple(range(j + 1, order))) for j in range(order)]
    starts = {f"start_cdf_{j}": cdf(marginals[j + 1] / marginals[j][..., None]) for j in range(order)}
    return starts | {"fresh_cdf": cdf(zipf(data.vocab_size)), "permutations": permutations(data)}


def entropies(data, strength: float) -> tuple[float, float]:
    """(H1, H*) in nats: of a token, and the mean over the seq_len predictions given all before."""
    joint, order = _stationary(data.name, data.vocab_size, strength), CHAINS[data.name].order
    given_expected = mixture_entropies(zipf(data.vocab_size), strength)
    rate = float((joint * given_expected[_expected(data.name, data.vocab_size)]).sum())
    h1 = entropy(joint.sum(axis=tuple(range(1, order))))
    first_predictions = entropy(joint) - h1
    return h1, (first_predictions + (data.seq_len - order + 1) * rate) / data.seq_len


def permutations(data) -> np.ndarray:
    """One permutation a lag, int32 [lags, V]."""
    return _permutations(data.name, data.vocab_size)


@lru_cache(maxsize=8)
def _stationary(name: str, vocab_size: int, strength: float) -> np.ndarray:
    """Stationary distribution of k successive tokens, float64 [V] * k: power iteration until it moves by 1e-13 (L1)."""
    order, fresh = CHAINS[name].order, (1 - strength) * zipf(vocab_size)
    states = vocab_size**order
    successor = np.arange(states) % vocab_size ** (order - 1) * vocab_size + _expected(name, vocab_size).ravel()
    joint, change = np.full(states, 1 / states), 1.0
    while change > 1e-13:
        by_rule = np.bincount(successor, weights=strength * joint, minlength=states)
        new = by_rule + np.multiply.outer(joint.reshape(vocab_size, -1).sum(0), fresh).ravel()
        new /= new.sum()
        joint, change = new, np.abs(new - joint).sum()
    joint.setflags(write=False)
    return joint.reshape((vocab_size,) * order)


def _expected(name: str, vocab_size: int) -> np.ndarray:
    """`rule` for every context, int [V] * k."""
    order = CHAINS[name].order
    context = np.ogrid[(slice(vocab_size),) * order]
    return np.broadcast_to(rule(CHAINS[name], _permutations(name, vocab_size), context), (vocab_size,) * order)


def _permutations(name: str, vocab_size: int) -> np.ndarray:
    chain, identity = CHAINS[name], np.arange(vocab_size)
    rows = [cycle(f"{name}/{i}", vocab_size) if chain.cyclic else identity for i in range(len(chain.lags))]
    return np.array(rows, np.int32)
