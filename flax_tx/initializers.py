"""Initial scales of the kernels, by name, as data: a standard deviation by the sizes of a kernel, and gains by role.

A kernel of shape (fan_in, fan_out) is normal with the standard deviation

    sd(fan_in, fan_out) * gains[role](place)

A role is the kind of the sublayer and the name of the kernel: attention.value, cross.out, ffn.in. Where a paper draws
from a uniform distribution, ours is the normal one of equal variance. To add a scheme, add a row to SCHEMES.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flax_tx.wiring import Number, Place

ATTENTION = ("query", "key", "value", "out")
FFN = ("in", "gate", "out")
ROLES = tuple(f"{kind}.{name}" for kind in ("attention", "cross") for name in ATTENTION) + tuple(
    f"ffn.{name}" for name in FFN
)
WRITERS = ("attention.out", "cross.out", "ffn.out")  # kernels that write to the residual stream
BRANCH_OF_FFN = ROLES[8:]
BRANCH = tuple(role for role in ROLES if role.split(".")[1] not in ("query", "key"))  # value, output, feed-forward


@dataclass(frozen=True)
class Scheme:
    """A row: sd(fan_in, fan_out), or None for the config's init_sd; gains by role; factors on embedding and head."""

    formula: str
    source: str
    sd: Callable[[int, int], float] | None
    gains: Mapping[str, Number] = field(default_factory=dict)
    embedding: Number = 1.0
    head: float = 1.0


def xavier_sd(fan_in: int, fan_out: int) -> float:
    """sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16, as a normal distribution)."""
    return (2 / (fan_in + fan_out)) ** 0.5


def lecun_sd(fan_in: int, fan_out: int) -> float:
    """1 / sqrt(fan_in): unit variance out for unit variance in."""
    return fan_in**-0.5


def each(roles: tuple[str, ...], gain: Number) -> dict[str, Number]:
    """One gain for all these roles."""
    return dict.fromkeys(roles, gain)


def deepnorm_beta(place: Place) -> float:
    """(8N)^-¼; encoder-decoder: decoder (12M)^-¼, encoder 0.87 (N⁴M)^(-1/16) (DeepNet, section 4)."""
    if place.stack == "encoder" and place.has_partner():
        return 0.87 * (place.encoder_layers**4 * place.decoder_layers) ** (-1 / 16)
    return (4 * place.num_sublayers) ** -0.25


def magneto_gamma(place: Place) -> float:
    """√ln 2N; encoder-decoder: decoder √ln 3M, encoder √(⅓ ln 3M ln 2N) (Magneto, section 3.2)."""
    if place.stack == "encoder" and place.has_partner():
        return (math.log(3 * place.decoder_layers) * math.log(2 * place.encoder_layers) / 3) ** 0.5
    return math.log(place.num_sublayers) ** 0.5


def tfixup_gain(place: Place) -> float:
    """(9M)^-¼ in a decoder or a single stack, 0.67 N^-¼ in the encoder of an encoder-decoder (T-Fixup, section 3.2)."""
    if place.stack == "encoder" and place.has_partner():
        return 0.67 * place.num_layers**-0.25
    return (9 * place.num_layers) ** -0.25


def correlation_gain(place: Place) -> float:
    """r_l^-¼, r_l the correlation of two tokens at layer l, from r₁ = 0.221 (DeepScaleLM, appendix, and its code).

    With β² = 2/S, each sublayer makes r <- (1 - β²) r + β² r_out: 1 after attention, r + (√(1-r²) - r arccos r)/π
    after a ReLU feed-forward.
    """
    r, share = 0.221, 2 / max(place.num_sublayers, 2)
    for _ in range(place.layer - 1):
        r += share * (1 - r)
        r += share * (math.sqrt(1 - r * r) - r * math.acos(r)) / math.pi
    return r**-0.25


def inverse_sqrt_layer(place: Place) -> float:
    """1/√l for layer l from 1."""
    return place.layer**-0.5


def inverse_sqrt_sublayers(place: Place) -> float:
    """1/√S for S sublayers."""
    return place.num_sublayers**-0.5


SCHEMES: dict[str, Scheme] = {
    "xavier": Scheme("2/(fan_in + fan_out)", "Glorot & Bengio 2010", xavier_sd),
    "uniform-attention": Scheme(
        "Xavier; query and key 0, so that attention is uniform",
        "the setting of the theory of Xiong et al. 2020, arXiv 2002.04745",
        xavier_sd,
        each(tuple(role for role in ROLES if role not in BRANCH), 0.0),
    ),
    "small": Scheme(
        "Xavier; attention kernels times √(2/5)",
        "SmallInit, Nguyen & Salazar 2019, arXiv 1910.05895",
        xavier_sd,
        each(ROLES[:8], 0.4**0.5),
    ),
    "normal": Scheme("σ², σ = init_sd", "BERT, Devlin et al. 2018; OLMo 2, arXiv 2501.00656: σ = 0.02", None),
    "gpt2": Scheme(
        "σ², σ = init_sd; writers to the stream times 1/√S",
        "GPT-2, Radford et al. 2019, section 2.3",
        None,
        each(WRITERS, inverse_sqrt_sublayers),
    ),
    "ds-init": Scheme(
        "Xavier times 1/√l", "Zhang et al. 2019, arXiv 1908.11365", xavier_sd, each(ROLES, inverse_sqrt_layer)
    ),
    "fixup": Scheme(
        "Xavier; Q, K, V times S^(-1/6), FFN input times S^(-1/2); writers and head 0",
        "Zhang et al. 2019, arXiv 1901.09321, and its code",
        xavier_sd,
        each(ROLES[:8], lambda place: place.num_sublayers ** (-1 / 6))
        | each(BRANCH_OF_FFN, inverse_sqrt_sublayers)
        | each(WRITERS, 0.0),
        head=0.0,
    ),
    "t-fixup": Scheme(
        "Xavier; value, output, FFN times (9L)^-¼; embeddings times (9L)^-¼/√D",
        "Huang et al. 2020, PMLR 119",
        xavier_sd,
        each(BRANCH, tfixup_gain),
        embedding=lambda place: (9 * place.num_layers) ** -0.25 * place.width**-0.5,
    ),
    "deepnorm": Scheme(
        "Xavier; value, output, FFN times (8L)^-¼",
        "DeepNet, Wang et al. 2022, arXiv 2203.00555",
        xavier_sd,
        each(BRANCH, deepnorm_beta),
    ),
    "deepnorm-glm": Scheme(
        "Xavier; value, output, FFN times (2L)^-½",
        "GLM-130B, Zeng et al. 2022, arXiv 2210.02414",
        xavier_sd,
        each(BRANCH, inverse_sqrt_sublayers),
    ),
    "magneto": Scheme(
        "Xavier; value, output, FFN times √ln 2L; cross-attention as it is",
        "Wang et al. 2022, arXiv 2210.06423",
        xavier_sd,
        each(tuple(role for role in BRANCH if not role.startswith("cross")), magneto_gamma),
    ),
    "depth-mup": Scheme("1/fan_in", "Yang et al. 2023, arXiv 2310.02244", lecun_sd),
    "deepscalelm": Scheme(
        "1/fan_in; value and output times r_l^-¼, r_l the correlation of tokens; FFN times 2^¼",
        "Kedia et al. 2024, arXiv 2403.09635, and its code",
        lecun_sd,
        each(tuple(role for role in BRANCH if not role.startswith("ffn")), correlation_gain)
        | each(BRANCH_OF_FFN, 2**0.25),
    ),
}
