"""Every single-stream Add & Norm placement: one formula, and a table of data.

For a sublayer f (attention or feed-forward) on the residual stream x,

    y   = pre_norm(x) * pre_gain                # slot 1
    b   = branch_norm(f(y)) * branch_gain       # slot 2
    x'  = main_norm(skip_gain * x + b)          # slot 3
    out = final_norm(x_L)                       # slot 4, once, after the last block

A slot holds a norm or nothing. A gain is a number, a function of the `Place` of the sublayer, or `Learned`.
`init_gain` multiplies the initial kernels of value, output and feed-forward, never of query and key.
To add a placement, add a row to WIRINGS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

SLOTS = ("pre", "branch", "main", "final")
GAINS = ("pre", "branch", "skip", "init")


@dataclass(frozen=True)
class Place:
    """Where a sublayer stands: layer 1..num_layers of the whole stack, and how many sublayers the stack has."""

    layer: int
    num_layers: int
    num_sublayers: int


@dataclass(frozen=True)
class Learned:
    """A trained gain: its initial value (a number or a function of Place), its shape, and what shares it."""

    start: "float | Callable[[Place], float]"
    shape: Literal["scalar", "channel"] = "scalar"
    per: Literal["block", "sublayer"] = "sublayer"


Number = float | Callable[[Place], float]
Gain = Number | Learned


@dataclass(frozen=True)
class Wiring:
    """A row: which slots hold a norm, the gains, the equation as its paper has it, and the source."""

    equation: str
    source: str
    pre: bool = False
    branch: bool = False
    main: bool = False
    final: bool = False
    pre_gain: Gain = 1.0
    branch_gain: Gain = 1.0
    skip_gain: Gain = 1.0
    init_gain: Number = 1.0

    def gain(self, name: str) -> Gain:
        """The gain called pre, branch, skip or init."""
        return getattr(self, f"{name}_gain")

    def slots(self) -> tuple[bool, bool, bool]:
        """Whether pre, branch and main hold a norm: what makes a placement that placement."""
        return self.pre, self.branch, self.main


def deepnorm_alpha(place: Place) -> float:
    """(2N)^(1/4) for N layers of two sublayers (DeepNet, table of section 4.1: encoder- or decoder-only)."""
    return place.num_sublayers**0.25


def deepnorm_beta(place: Place) -> float:
    """(8N)^(-1/4) for N layers of two sublayers (DeepNet, table of section 4.1)."""
    return (4 * place.num_sublayers) ** -0.25


def layerscale_start(place: Place) -> float:
    """0.1 up to 18 layers, 1e-5 up to 24, 1e-6 deeper (CaiT, section 3)."""
    return 0.1 if place.num_layers <= 18 else 1e-5 if place.num_layers <= 24 else 1e-6


WIRINGS: dict[str, Wiring] = {
    "post": Wiring("x' = N(x + f(x))", "Vaswani et al. 2017, arXiv 1706.03762", main=True),
    "pre": Wiring("x' = x + f(N(x))", "Xiong et al. 2020, arXiv 2002.04745", pre=True, final=True),
    "sandwich": Wiring(
        "x' = x + N(f(N(x)))",
        "CogView, Ding et al. 2021, arXiv 2105.13290; Peri-LN, Kim et al. 2025, arXiv 2502.02732",
        pre=True,
        branch=True,
        final=True,
    ),
    "branch": Wiring("x' = x + N(f(x))", "OLMo 2, 2024, arXiv 2501.00656", branch=True, final=True),
    "deepnorm": Wiring(
        "x' = N(αx + f(x)), α = (2L)^¼, β = (8L)^-¼",
        "DeepNet, Wang et al. 2022, arXiv 2203.00555",
        main=True,
        skip_gain=deepnorm_alpha,
        init_gain=deepnorm_beta,
    ),
    "rezero": Wiring(
        "x' = x + αf(x), α learned from 0, one per block",
        "Bachlechner et al. 2021, arXiv 2003.04887",
        branch_gain=Learned(0.0, per="block"),
    ),
    "layerscale": Wiring(
        "x' = x + λ⊙f(N(x)), λ learned per channel from ε(L)",
        "CaiT, Touvron et al. 2021, arXiv 2103.17239",
        pre=True,
        final=True,
        branch_gain=Learned(layerscale_start, shape="channel"),
    ),
    "layernorm-scaling": Wiring(
        "x' = x + f(N(x)/√l)",
        "The Curse of Depth, Sun et al. 2025, arXiv 2502.05795",
        pre=True,
        final=True,
        pre_gain=lambda place: place.layer**-0.5,
    ),
    "none": Wiring("x' = x + f(x)", "He et al. 2016, arXiv 1512.03385, without normalisation"),
    "custom": Wiring("x' = N₃(γ₃x + γ₂N₂(f(γ₁N₁(x))))", "the formula itself: every slot and gain from the config"),
}


def same_slots(slots: tuple[bool, bool, bool]) -> list[str]:
    """The placements whose pre, branch and main slots are these."""
    return [name for name, row in WIRINGS.items() if row.slots() == tuple(slots) and name != "custom"]
