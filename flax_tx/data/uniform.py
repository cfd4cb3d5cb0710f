"""`uniform`: independent tokens, every one of V equally likely. H1 = H* = ln V: what probes of the start are fed."""

import math

import numpy as np


def arrays(data, strength: float) -> dict[str, np.ndarray]:
    """Nothing: every token is drawn anew."""
    return {}


def entropies(data, strength: float) -> tuple[float, float]:
    """(H1, H*) in nats, both ln V."""
    return math.log(data.vocab_size), math.log(data.vocab_size)


def permutations(data) -> np.ndarray:
    """None: int32 [0, V]."""
    return np.empty((0, data.vocab_size), np.int32)
