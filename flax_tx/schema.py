"""The one schema: every knob with its type, its default, what it may be, and whether it is data of the graph."""

import math
from dataclasses import Field, dataclass, field
from typing import Any

from flax_tx.initializers import SCHEMES
from flax_tx.norms import NORMS
from flax_tx.wiring import WIRINGS

ACTIVATIONS = {"relu": False, "gelu": False, "silu": False, "swiglu": True, "geglu": True}  # name -> gated?
POSITIONS = ("learned", "sinusoidal", "rotary", "none")
QK_NORMS = ("none", *(kind for kind in NORMS if kind != "none"))
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "inverse_sqrt")
DTYPES = ("float32", "bfloat16")
FLOAT32 = (1.2e-38, 3.4e38)  # the smallest and the largest number of full precision


def knob(default: Any, doc: str, **rules) -> Any:
    """A field of the schema. Rules: among (names), low, above, high, below; data (a value that changes no graph).

    A knob of data with `off` keeps in the graph only whether it differs from `off`.
    """
    return field(default=default, metadata={"doc": doc, **rules})


def group(kind: type) -> Any:
    """A field that is itself a group of fields."""
    return field(default_factory=kind)


@dataclass(frozen=True)
class Norm:
    """One norm reaches every slot, qk-norm and the final norm."""

    kind: str = knob("layernorm", "the norm that every slot holds", among=NORMS)
    eps: float = knob(1e-6, "added to the variance, inside the square root", above=0, below=1)
    scale: bool | None = knob(None, "a learned scale; None: as is the custom of the norm")
    bias: bool | None = knob(None, "a learned bias; None: as is the custom of the norm")


@dataclass(frozen=True)
class Slots:
    """Which slots of the formula hold a norm; None: as the row of the wiring says."""

    pre: bool | None = knob(None, "before the sublayer")
    branch: bool | None = knob(None, "on the branch, before the addition")
    main: bool | None = knob(None, "on the stream, after the addition")
    final: bool | None = knob(None, "once, after the last block")


@dataclass(frozen=True)
class Gains:
    """Numbers in place of the gains of the wiring's row; None: as the row says. A gain of 1 is no gain: nothing is
    multiplied."""

    pre: float | None = knob(None, "times the input of the sublayer", data=True, off=1.0)
    branch: float | None = knob(None, "times the branch", data=True, off=1.0)
    skip: float | None = knob(None, "times the stream, before the addition", data=True, off=1.0)
    init: float | None = knob(None, "times the initial value, output and FFN kernels", data=True, low=0)


@dataclass(frozen=True)
class Dropout:
    """Rates in [0, 1), each site with its own name."""

    embedding: float = knob(0.0, "on the embedded tokens", low=0, below=1, data=True, off=0.0)
    attention: float = knob(0.0, "on the attention weights", low=0, below=1, data=True, off=0.0)
    branch: float = knob(0.0, "on the output of a sublayer, before any branch norm", low=0, below=1, data=True, off=0.0)


@dataclass(frozen=True)
class Model:
    """A stack of blocks under a head. `segments` lists runs of equal blocks, each a dict of fields that differ."""

    wiring: str = knob("pre", "the placement: a row of the wiring table", among=WIRINGS)
    norm: Norm = group(Norm)
    slots: Slots = group(Slots)
    gains: Gains = group(Gains)
    width: int = knob(64, "D, the width of the residual stream", low=1, high=2**17)
    num_layers: int = knob(6, "L, the number of blocks", low=1, high=10_000)
    num_heads: int = knob(4, "H, the attention heads", low=1, high=2**17)
    head_dim: int | None = knob(None, "width of a head; None: width / num_heads", low=1, high=2**17)
    mlp_dim: int | None = knob(None, "hidden width of a feed-forward sublayer; None: 4 * width", low=1, high=2**20)
    num_ffn: int = knob(1, "feed-forward sublayers in a block", low=0, high=64)
    activation: str = knob("gelu", "of the feed-forward sublayers", among=ACTIVATIONS)
    bias: bool = knob(False, "a bias in every kernel of attention and feed-forward")
    positions: str = knob("learned", "how positions enter", among=POSITIONS)
    causal: bool | None = knob(None, "attend to the past only; None: yes for language models, no for classifiers")
    qk_norm: str = knob("none", "a norm on queries and keys, per head, before rotary positions", among=QK_NORMS)
    init: str = knob("xavier", "the initial scales: a row of the scheme table", among=SCHEMES)
    embed_scale: float = knob(
        1.0, "standard deviation of the initial token and position embeddings", above=0, data=True
    )
    dropout: Dropout = group(Dropout)
    dtype: str = knob("float32", "of activations; parameters and norms stay in float32", among=DTYPES)
    unroll: int = knob(
        8, "segments up to this depth are unrolled when compiled, deeper ones are a loop", low=1, high=10_000
    )
    segments: tuple = knob((), "runs of equal blocks: dicts of num_layers and the fields that differ")

    def holds(self, slot: str) -> bool:
        """Whether the slot pre, branch, main or final holds a norm: as the config says, else as the wiring's row."""
        asked = getattr(self.slots, slot)
        return getattr(WIRINGS[self.wiring], slot) if asked is None else asked

    def inner_width(self) -> int:
        """H * K: the width of all heads together."""
        return self.num_heads * (self.head_dim or self.width // self.num_heads)

    def hidden_dim(self) -> int:
        """The hidden width of a feed-forward sublayer."""
        return self.mlp_dim or 4 * self.width


@dataclass(frozen=True)
class Optim:
    """Optimiser and schedule. Norm scales, biases and gains are never decayed."""

    name: str = knob("adamw", "the optimiser", among=OPTIMIZERS)
    learning_rate: float = knob(1e-3, "the peak", low=0, data=True)
    warmup_steps: float = knob(0.0, "steps of linear warm-up", low=0, data=True)
    schedule: str = knob("cosine", "after the warm-up", among=SCHEDULES)
    final_fraction: float = knob(
        0.1,
        "learning rate over the peak at step `steps`, one after the last (cosine, linear)",
        low=0,
        high=1,
        data=True,
    )
    weight_decay: float = knob(
        0.01, "of kernels and embeddings, times the learning rate (AdamW, SGD)", low=0, data=True
    )
    beta1: float = knob(0.9, "first moment (Adam), momentum (SGD)", low=0, below=1, data=True)
    beta2: float = knob(0.98, "second moment (Adam)", low=0, below=1, data=True)
    eps: float = knob(1e-9, "in the denominator of Adam", low=0, data=True)
    clip_norm: float = knob(0.0, "largest global gradient norm; 0: no clipping", low=0, data=True)


@dataclass(frozen=True)
class Train:
    """How long, how much, and on what loss."""

    steps: int = knob(300, "optimiser steps", low=1, high=2**31 - 1)
    batch_size: int = knob(16, "sequences in a batch", low=1, high=2**24)
    chunk_steps: int = knob(50, "steps in one call of the compiled program", low=1, high=2**20)
    eval_windows: int = knob(256, "held-out windows (language models) or at most so many documents", low=2, high=2**24)
    label_smoothing: float = knob(0.0, "mass spread over all classes", low=0, below=1, data=True, off=0.0)
    z_loss: float = knob(0.0, "times the mean of log²Z", low=0, data=True, off=0.0)
    diagnostics: bool = knob(True, "per-layer statistics at the end of every chunk")


@dataclass(frozen=True)
class Data:
    """A data set, and how it is cut."""

    name: str = knob("kjv", "a data set of ours, or any name of the TFDS catalogue")
    task: str = knob("auto", "what is learned from it", among=("auto", "lm", "classify"))
    seq_len: int = knob(64, "tokens in a sequence", low=2, high=2**20)
    vocab_size: int = knob(32, "symbols of a synthetic task", low=2, high=256)
    strength: float = knob(0.0, "predictable share of a synthetic task; 0: the task's own", low=0, high=1)


@dataclass(frozen=True)
class Seed:
    """Each source of randomness by itself."""

    init: int = knob(0, "initial parameters", low=0, high=2**31 - 1, data=True)
    data: int = knob(0, "which batches, in which order", low=0, high=2**31 - 1, data=True)
    dropout: int = knob(0, "dropout masks", low=0, high=2**31 - 1, data=True)


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers of one cell."""

    model: Model = group(Model)
    optim: Optim = group(Optim)
    train: Train = group(Train)
    data: Data = group(Data)
    seed: Seed = group(Seed)


def broken_rule(value: Any, rules: Field) -> str:
    """What the value of a knob was expected to be, or nothing when it keeps its rules."""
    meta = rules.metadata
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, float) and value and not FLOAT32[0] <= abs(value) <= FLOAT32[1]:
        return f"expected 0 or a size from {FLOAT32[0]:g} to {FLOAT32[1]:g}, what float32 can hold"
    tests = {
        "low": ("at least", lambda bound: value >= bound),
        "above": ("more than", lambda bound: value > bound),
        "high": ("at most", lambda bound: value <= bound),
        "below": ("less than", lambda bound: value < bound),
    }
    broken = [f"{word} {meta[rule]}" for rule, (word, test) in tests.items() if rule in meta and not test(meta[rule])]
    return f"expected {' and '.join(broken)}" if broken else ""
