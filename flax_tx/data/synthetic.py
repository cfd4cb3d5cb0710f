"""Synthetic language-modelling tasks whose best possible loss is known exactly (NumPy only; drawn by `batches`).

A chain emits, with fresh ~ Zipf(1) over V tokens (p_c proportional to 1 / (c + 1)),

    x_t = (sum_i pi_i[x_{t - lag_i}]) mod V   with probability `strength`,   else fresh,

and starts from its stationary distribution, so that every window of it looks alike.

| name    | lags | pi                 | strength | needs                                             |
|---------|------|--------------------|----------|---------------------------------------------------|
| markov1 | 1    | fixed cycle        | 0.8      | no attention at all                               |
| markov2 | 1, 2 | fixed cycles       | 0.6      | one look-up                                       |
| lookup  | 1, 3 | identity           | 0.8      | two look-ups at once (more than one head helps)   |

A fixed cycle is a permutation of all V tokens in one cycle, so that no sequence settles in a short loop.

`induction` is the part of induction-head tasks whose entropy has a closed form. A sequence opens with a block of P
distinct tokens drawn uniformly without replacement; every later token continues the block from the place of its
predecessor with probability `strength` (cyclically: after the block's last token comes its first), else it jumps to a
uniformly drawn place of the block. To predict it is to find the earlier occurrence of the present token and to copy
what followed (Olsson et al. 2022, In-context Learning and Induction Heads). A copy among Markov or Zipf tokens, which
may occur in it by chance, has no closed form. P = min(V // 2, (seq_len + 1) // 2).

A draw has seq_len + 1 tokens, of which the last seq_len are predicted, each from all before it. H1 is the entropy of
one token, H* the mean over the seq_len predictions of the conditional entropy; both in nats. The first predictions of a
chain of order k see fewer than k tokens; H* counts them as they are.
"""

import dataclasses
import hashlib
import math
from functools import lru_cache

import numpy as np

MAX_VOCAB = 256  # as many as there are bytes
MAX_STATES = 2**18  # of the order-k chain: vocab_size ** k
MAX_STRENGTH = 0.95  # nearer to 1 the stationary distribution is reached too slowly


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


CHAINS = {
    "markov1": Chain(lags=(1,), cyclic=True, strength=0.8),
    "markov2": Chain(lags=(1, 2), cyclic=True, strength=0.6),
    "lookup": Chain(lags=(1, 3), cyclic=False, strength=0.8),
}
STRENGTH = {name: chain.strength for name, chain in CHAINS.items()} | {"induction": 0.8}


def strength(data) -> float:
    """`data.strength`, or the task's own where it is 0."""
    return float(data.strength or STRENGTH[data.name])


def block_length(data) -> int:
    """P, the number of distinct tokens that open an `induction` sequence."""
    return min(data.vocab_size // 2, (data.seq_len + 1) // 2)


def rule(chain: Chain, permutations, context):
    """The chain's likeliest next token; `context` is the preceding tokens, the last at the end (NumPy or JAX)."""
    terms = [permutation[context[-lag]] for permutation, lag in zip(permutations, chain.lags, strict=True)]
    return sum(terms[1:], terms[0]) % permutations.shape[1]


def arrays(data) -> dict[str, np.ndarray]:
    """What the sampler needs; for chains fresh_cdf [V] and start_cdf_j [V] * (j + 1) = P(x_j <= c | x_0..x_{j-1})."""
    if data.name == "induction":
        return {"strength": np.float32(strength(data))}
    joint = _stationary(data.name, data.vocab_size, strength(data))
    order = joint.ndim
    marginals = [np.ones(())] + [joint.sum(axis=tuple(range(j + 1, order))) for j in range(order)]
    starts = {f"start_cdf_{j}": _cdf(marginals[j + 1] / marginals[j][..., None]) for j in range(order)}
    return starts | {
        "fresh_cdf": _cdf(zipf(data.vocab_size)),
        "permutations": _permutations(data.name, data.vocab_size),
        "strength": np.float32(strength(data)),
    }


def entropies(data) -> tuple[float, float]:
    """(H1, H*) in nats: exact for this vocab_size, strength and seq_len."""
    return _induction_entropies(data) if data.name == "induction" else _chain_entropies(data)


def fingerprint(data) -> str:
    """Hash of everything that defines the process: name, sizes, strength, permutations."""
    digest = hashlib.sha256(f"{data.name} V={data.vocab_size} L={data.seq_len} s={strength(data)!r}".encode())
    if data.name in CHAINS:
        digest.update(_permutations(data.name, data.vocab_size).astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def problems(data) -> list[str]:
    """What is wrong with vocab_size, strength or seq_len, one line each."""
    lines = []
    order = CHAINS[data.name].order if data.name in CHAINS else 1
    largest = min(MAX_VOCAB, int(MAX_STATES ** (1 / order) + 1e-9))
    if not 4 <= data.vocab_size <= largest:
        lines.append(f"data.vocab_size = {data.vocab_size!r}: {data.name} expects 4 to {largest} tokens")
    if not 0 <= data.strength <= MAX_STRENGTH:
        lines.append(
            f"data.strength = {data.strength!r}: expected a probability up to {MAX_STRENGTH}, "
            f"or 0 for the task's own ({STRENGTH[data.name]})"
        )
    if data.seq_len < 4:
        lines.append(f"data.seq_len = {data.seq_len!r}: {data.name} expects at least 4 tokens")
    return lines


def zipf(vocab_size: int) -> np.ndarray:
    """Zipf(1) over tokens 0..V-1, float64 [V]."""
    weights = 1 / np.arange(1, vocab_size + 1)
    return weights / weights.sum()


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


def _chain_entropies(data) -> tuple[float, float]:
    joint, order = _stationary(data.name, data.vocab_size, strength(data)), CHAINS[data.name].order
    fresh = (1 - strength(data)) * zipf(data.vocab_size)
    likeliest = fresh + strength(data)
    given_expected = _entropy(fresh) + fresh * np.log(fresh) - likeliest * np.log(likeliest)
    rate = float((joint * given_expected[_expected(data.name, data.vocab_size)]).sum())
    h1 = _entropy(joint.sum(axis=tuple(range(1, order))))
    first_predictions = _entropy(joint) - h1
    return h1, (first_predictions + (data.seq_len - order + 1) * rate) / data.seq_len


def _induction_entropies(data) -> tuple[float, float]:
    block = block_length(data)
    jump = (1 - strength(data)) / block
    successor = strength(data) + jump
    opening = sum(math.log(data.vocab_size - t) for t in range(1, block))
    later = -successor * math.log(successor) - (block - 1) * jump * math.log(jump)
    return math.log(data.vocab_size), (opening + (data.seq_len + 1 - block) * later) / data.seq_len


def _expected(name: str, vocab_size: int) -> np.ndarray:
    """`rule` for every context, int [V] * k."""
    order = CHAINS[name].order
    context = np.ogrid[(slice(vocab_size),) * order]
    return np.broadcast_to(rule(CHAINS[name], _permutations(name, vocab_size), context), (vocab_size,) * order)


def _permutations(name: str, vocab_size: int) -> np.ndarray:
    """One permutation a lag, int32 [lags, V]."""
    chain = CHAINS[name]
    rows = [
        _cycle(f"{name}/{i}", vocab_size) if chain.cyclic else np.arange(vocab_size) for i in range(len(chain.lags))
    ]
    return np.array(rows, np.int32)


def _cycle(label: str, vocab_size: int) -> np.ndarray:
    """A permutation of one cycle, in the order of a hash (a random generator may change from NumPy to NumPy)."""
    order = sorted(range(vocab_size), key=lambda token: hashlib.sha256(f"{label}/{token}".encode()).digest())
    permutation = np.empty(vocab_size, np.int32)
    permutation[order] = np.roll(order, -1)
    return permutation


def _cdf(probabilities: np.ndarray) -> np.ndarray:
    cdf = np.cumsum(probabilities, axis=-1)
    return (cdf / cdf[..., -1:]).astype(np.float32)


def _entropy(probabilities: np.ndarray) -> float:
    return -float((probabilities * np.log(probabilities)).sum())
