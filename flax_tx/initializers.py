"""Initial scales of the kernels, by name, as data: a family and a standard deviation per role of a kernel.

The standard deviation of a kernel of shape (fan_in, fan_out) at a place of the stack is

    sd = scheme.sd(fan_in, fan_out, d) * scheme.out_gain(place) [output and second FFN kernel] * init_gain [wiring]

To add a scheme, add a row to SCHEMES.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flax_tx.wiring import Place

WRITERS = ("attention_out", "ffn_out")  # kernels that write to the residual stream


@dataclass(frozen=True)
class Scheme:
    """Normal initialisation: sd(fan_in, fan_out), and a factor on the kernels that write to the stream."""

    source: str
    sd: Callable[[int, int], float]
    out_gain: Callable[[Place], float] = lambda place: 1.0


def xavier_sd(fan_in: int, fan_out: int) -> float:
    """sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16, as a normal distribution)."""
    return (2 / (fan_in + fan_out)) ** 0.5


SCHEMES: dict[str, Scheme] = {
    "xavier": Scheme("Glorot & Bengio 2010", xavier_sd),
    "normal": Scheme("N(0, 0.02²); BERT, OLMo 2", lambda fan_in, fan_out: 0.02),
    "gpt2": Scheme(
        "GPT-2: N(0, 0.02²), writers to the stream times 1/√(2L)",
        lambda fan_in, fan_out: 0.02,
        lambda place: place.num_sublayers**-0.5,
    ),
}
