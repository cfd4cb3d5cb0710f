"""Synthetic tasks whose best possible loss is known exactly (NumPy only; drawn by `batches`).

| name                     | task      | defined in    | to predict a token is                              |
|--------------------------|-----------|---------------|----------------------------------------------------|
| markov1, markov2, lookup | lm        | `chains`      | to look up one or two of the last three tokens     |
| lookups                  | lm        | `chains`      | to look up the tokens two and three back           |
| uniform                  | lm        | `uniform`     | impossible                                         |
| induction                | lm        | `induction`   | to find the earlier occurrence, and what followed  |
| translation              | translate | `translation` | to find the source word, a place on or back        |

H1 is the entropy of one target, H* the mean over the seq_len predictions of the conditional entropy given all that the
model sees; both in nats, in float64. With probability `strength` a target follows the rule of its task.
"""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from flax_tx.data import chains, induction, translation, uniform

MAX_VOCAB = 256  # as many as there are bytes
MAX_STRENGTH = 0.95  # nearer to 1 the stationary distribution of a chain is reached too slowly


@dataclasses.dataclass(frozen=True)
class Process:
    """What defines a task: its functions take the configuration `data`, the first two also the resolved strength."""

    strength: float  # the task's own
    arrays: Callable[..., dict[str, np.ndarray]]
    entropies: Callable[..., tuple[float, float]]
    permutations: Callable[..., np.ndarray]
    max_vocab: int = MAX_VOCAB


PROCESSES = {
    name: Process(chain.strength, chains.arrays, chains.entropies, chains.permutations, min(MAX_VOCAB, chain.max_vocab))
    for name, chain in chains.CHAINS.items()
} | {
    "induction": Process(0.8, induction.arrays, induction.entropies, induction.permutations),
    "uniform": Process(0.5, uniform.arrays, uniform.entropies, uniform.permutations),
    "translation": Process(0.8, translation.arrays, translation.entropies, translation.permutations),
}


def strength(data) -> float:
    """`data.strength`, or the task's own where it is 0."""
    return float(data.strength or PROCESSES[data.name].strength)


def arrays(data) -> dict[str, np.ndarray]:
    """What the sampler needs: strength float32 [], and what the task's own `arrays` says."""
    return PROCESSES[data.name].arrays(data, strength(data)) | {"strength": np.float32(strength(data))}


def entropies(data) -> tuple[float, float]:
    """(H1, H*) in nats: exact for this vocab_size, strength and seq_len."""
    return PROCESSES[data.name].entropies(data, strength(data))


def fingerprint(data) -> str:
    """Hash of everything that defines the process: name, sizes, strength, permutations."""
    digest = hashlib.sha256(f"{data.name} V={data.vocab_size} L={data.seq_len} s={strength(data)!r}".encode())
    digest.update(PROCESSES[data.name].permutations(data).astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def problems(data) -> list[str]:
    """What is wrong with vocab_size, strength or seq_len, one line each."""
    process, lines = PROCESSES[data.name], []
    if not 4 <= data.vocab_size <= process.max_vocab:
        lines.append(f"data.vocab_size = {data.vocab_size!r}: {data.name} expects 4 to {process.max_vocab} tokens")
    if not 0 <= data.strength <= MAX_STRENGTH:
        lines.append(
            f"data.strength = {data.strength!r}: expected a probability up to {MAX_STRENGTH}, "
            f"or 0 for the task's own ({process.strength})"
        )
    if data.seq_len < 4:
        lines.append(f"data.seq_len = {data.seq_len!r}: {data.name} expects at least 4 tokens")
    return lines
