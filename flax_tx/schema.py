"""The one schema: every knob with its type, its default, what it may be, and whether it is data of the graph."""

from dataclasses import dataclass, replace

from flax_tx.initializers import SCHEMES
from flax_tx.knob import group, knob
from flax_tx.layout import LAYOUTS
from flax_tx.methods import REPARAMS, VALUE_RESIDUALS
from flax_tx.norms import NORMS, QK_NORMS
from flax_tx.wiring import WIRINGS

ACTIVATIONS = {"relu": False, "gelu": False, "silu": False, "swiglu": True, "geglu": True}  # name -> gated?
POSITIONS = ("learned", "sinusoidal", "rotary", "none")
V_NORMS = ("norm", *NORMS)  # "norm": the norm of the model
OVER = ("head", "all")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "inverse_sqrt")
DTYPES = ("float32", "bfloat16")
REMATS = ("none", "block", "dots")


@dataclass(frozen=True)
class Norm:
    """One norm reaches every slot, qk-norm and the final norm."""

    kind: str = knob("layernorm", "the norm that every slot holds", among=NORMS)
    eps: float = knob(1e-6, "added to the variance, inside the square root", above=0, below=1)
    scale: bool | None = knob(None, "a learned scale; None: as is the custom of the norm")
    bias: bool | None = knob(None, "a learned bias; None: as is the custom of the norm")
    zero_centred: bool = knob(False, "scales are stored as their distance from where they start")
    fraction: float = knob(0.0625, "the share of channels that prmsnorm measures", above=0, high=1)
    alpha: float = knob(0.5, "where the α of dyt and derf starts", above=0)


@dataclass(frozen=True)
class Slots:
    """Which slots of the formula hold a norm; None: as the row of the wiring says."""

    pre: bool | None = knob(None, "before the sublayer")
    branch: bool | None = knob(None, "on the branch, before the addition")
    main: bool | None = knob(None, "on the stream, after the addition")
    inner: bool | None = knob(None, "inside the sublayer, before its output kernel")
    final: bool | None = knob(None, "once, after the last block")


@dataclass(frozen=True)
class Gains:
    """Numbers in place of the gains of the wiring's row; None: as the row says. A gain of 1 is no gain: nothing is
    multiplied."""

    pre: float | None = knob(None, "times the input of the sublayer", data=True, off=1.0)
    branch: float | None = knob(None, "times the branch", data=True, off=1.0)
    skip: float | None = knob(None, "times the stream, before the addition", data=True, off=1.0)
    init: float | None = knob(
        None, "times the initial value, output and FFN kernels, in place of the scheme's gains", data=True, low=0
    )


@dataclass(frozen=True)
class Dropout:
    """Rates in [0, 1), each site with its own name."""

    embedding: float = knob(0.0, "on the embedded tokens", low=0, below=1, data=True, off=0.0)
    attention: float = knob(0.0, "on the attention weights", low=0, below=1, data=True, off=0.0)
    branch: float = knob(0.0, "on the output of a sublayer, before any branch norm", low=0, below=1, data=True, off=0.0)
    depth: float = knob(
        0.0,
        "stochastic depth: the share of sequences that skip a branch of the last layer, growing linearly from 0",
        low=0,
        below=1,
        data=True,
        off=0.0,
    )


@dataclass(frozen=True)
class Model:
    """A stack of blocks under a head. `segments` lists runs of equal blocks, each a dict of fields that differ."""

    wiring: str = knob("pre", "the placement: a row of the wiring table", among=WIRINGS)
    norm: Norm = group(Norm)
    slots: Slots = group(Slots)
    gains: Gains = group(Gains)
    layout: str = knob("serial", "the order of the sublayers in a block", among=LAYOUTS)
    width: int = knob(64, "D, the width of the residual stream", low=1, high=2**17)
    num_layers: int = knob(6, "L, the number of blocks", low=1, high=10_000)
    encoder_layers: int | None = knob(
        None, "blocks of the encoder, for translation; None: num_layers", low=1, high=10_000
    )
    base_layers: int = knob(2, "L₀, the depth that depth-mup and completep transfer from", low=1, data=True)
    tie: int = knob(1, "successive blocks that share one set of parameters", low=1, high=10_000)
    num_heads: int = knob(4, "H, the attention heads", low=1, high=2**17)
    num_kv_heads: int | None = knob(
        None, "heads of keys and values; 1: multi-query; None: num_heads", low=1, high=2**17
    )
    head_dim: int | None = knob(None, "width of a head; None: width / num_heads", low=1, high=2**17)
    mlp_dim: int | None = knob(None, "hidden width of a feed-forward sublayer; None: 4 * width", low=1, high=2**20)
    num_ffn: int = knob(1, "feed-forward sublayers in a block", low=0, high=64)
    activation: str = knob("gelu", "of the feed-forward sublayers", among=ACTIVATIONS)
    bias: bool = knob(False, "a bias in every kernel of attention and feed-forward")
    input_bias: bool | None = knob(
        None, "a learned scalar added to the input of every kernel (Fixup); None: as the wiring says"
    )
    positions: str = knob("learned", "how positions enter", among=POSITIONS)
    causal: bool | None = knob(None, "attend to the past only; None: yes for language models, no for classifiers")
    qk_norm: str | None = knob(
        None, "on queries and keys, before rotary positions; None: as the wiring says, else none", among=QK_NORMS
    )
    qk_norm_over: str = knob("head", "what qk_norm normalises: each head, or all heads at once", among=OVER)
    v_norm: str | None = knob(None, "a norm on values, per head; None: as the wiring says, else none", among=V_NORMS)
    value_residual: str = knob("none", "how the values of the first layer enter the others", among=VALUE_RESIDUALS)
    head_scale: bool | None = knob(
        None, "a learned factor per head, before the output kernel; None: as the wiring says, else no"
    )
    pruned_heads: tuple = knob((), "heads held at zero: pairs (layer from 1, head from 1)", data=True, off=())
    pruned_layers: tuple = knob((), "layers that leave the stream as it is, from 1", data=True, off=())
    attention_cap: float = knob(0.0, "c of c tanh(logits/c) on attention logits; 0: off", low=0, data=True, off=0.0)
    logit_cap: float = knob(0.0, "c of c tanh(logits/c) on output logits; 0: off", low=0, data=True, off=0.0)
    reparam: str | None = knob(
        None,
        "of the kernels: sigma (γW/σ(W)) or sphere (unit rows after every step); None: as the wiring says, else none",
        among=REPARAMS,
    )
    init: str | None = knob(
        None, "the initial scales: a row of the scheme table; None: as the wiring says, else xavier", among=SCHEMES
    )
    init_sd: float = knob(0.02, "σ of the schemes normal and gpt2", above=0, data=True)
    embed_scale: float = knob(
        1.0, "standard deviation of the initial token and position embeddings", above=0, data=True
    )
    embed_norm: str = knob("none", "a norm on the embedded tokens, positions included", among=V_NORMS)
    fixnorm: bool = knob(False, "token embeddings are scaled to the length √D wherever they are read")
    num_streams: int = knob(4, "n, the streams of hyper-connections", low=1, high=64)
    history_blocks: int = knob(8, "the blocks of block-attention-residuals", low=1, high=10_000)
    dropout: Dropout = group(Dropout)
    dtype: str = knob("float32", "of activations; parameters and norms stay in float32", among=DTYPES)
    unroll: int = knob(
        8, "segments up to this depth are unrolled when compiled, deeper ones are a loop", low=1, high=10_000
    )
    remat: str = knob(
        "none",
        "what the backward pass computes again from the input of a block: in a loop norms and activations alone, "
        "the block, or all but its dot products with kernels",
        among=REMATS,
        late=True,
    )
    segments: tuple = knob((), "runs of equal blocks: dicts of num_layers and the fields that differ")

    def holds(self, slot: str, kind: str = "attention") -> bool:
        """Whether a slot holds a norm at sublayers of a kind: as the config says, else as the wiring's row."""
        asked = getattr(self.slots, slot)
        return WIRINGS[self.wiring].holds(slot, kind) if asked is None else asked

    def settled(self) -> "Model":
        """The model with the fields that it leaves to its wiring at their values."""
        implied = IMPLIED | dict(WIRINGS[self.wiring].implies)
        return replace(self, **{name: value for name, value in implied.items() if getattr(self, name) is None})

    def per_head(self) -> int:
        """K: the width of one head."""
        return self.head_dim or self.width // self.num_heads

    def inner_width(self) -> int:
        """H * K: the width of all heads together."""
        return self.num_heads * self.per_head()

    def kv_heads(self) -> int:
        """The heads of keys and values."""
        return self.num_kv_heads or self.num_heads

    def hidden_dim(self) -> int:
        """The hidden width of a feed-forward sublayer."""
        return self.mlp_dim or 4 * self.width


# What stands where neither the config nor the row of the wiring says otherwise.
IMPLIED = {
    "init": "xavier",
    "qk_norm": "none",
    "v_norm": "none",
    "head_scale": False,
    "reparam": "none",
    "input_bias": False,
}


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
    decay_norms: bool = knob(False, "norm scales, biases and gains decay like kernels")
    clip_norm: float = knob(0.0, "largest global gradient norm; 0: no clipping", low=0, data=True)


@dataclass(frozen=True)
class Train:
    """How long, how much, and on what loss."""

    steps: int = knob(300, "optimiser steps; 0: the cell is only measured as it starts", low=0, high=2**31 - 1)
    batch_size: int = knob(16, "sequences in a batch", low=1, high=2**24)
    chunk_steps: int = knob(50, "steps in one call of the compiled program", low=1, high=2**20)
    eval_windows: int = knob(256, "held-out windows (language models) or at most so many documents", low=2, high=2**24)
    label_smoothing: float = knob(0.0, "mass spread over all classes", low=0, below=1, data=True, off=0.0)
    z_loss: float = knob(0.0, "times the mean of log²Z", low=0, data=True, off=0.0)
    diagnostics: bool = knob(True, "per-layer statistics at the end of every chunk")


@dataclass(frozen=True)
class Probe:
    """What is measured of the model itself, beside its losses."""

    start: bool = knob(False, "before the first step: streams, gradients, attention, a sample of the logits")
    update: bool = knob(False, "before the first step: how far a step of SGD, of signs, or noise moves the features")
    draws: int = knob(3, "perturbations by noise that are averaged", low=1, high=1000)
    scales: bool = knob(False, "before the first step: how far the features move when a kernel is doubled")
    layers: bool = knob(False, "after the last step: how far each layer turns the stream, and what its loss costs")
    heads: bool = knob(False, "after the last step: what the loss of each head costs")

    def any_start(self) -> bool:
        """Whether anything is measured before the first step."""
        return self.start or self.update or self.scales

    def any_end(self) -> bool:
        """Whether anything is measured after the last step."""
        return self.layers or self.heads


@dataclass(frozen=True)
class Data:
    """A data set, and how it is cut."""

    name: str = knob("kjv", "a data set of ours, or any name of the TFDS catalogue")
    task: str = knob("auto", "what is learned from it", among=("auto", "lm", "classify", "translate"))
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
class Mesh:
    """The devices of one cell, in three axes."""

    data: int = knob(1, "devices between which a batch is split", low=1, high=2**16, late=True)
    fsdp: int = knob(
        1, "devices between which parameters and moments are split, and the batch too", low=1, high=2**16, late=True
    )
    tensor: int = knob(
        1, "devices between which heads, hidden units and the vocabulary are split", low=1, high=2**16, late=True
    )

    def size(self) -> int:
        """All devices."""
        return self.data * self.fsdp * self.tensor


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers of one cell."""

    model: Model = group(Model)
    optim: Optim = group(Optim)
    train: Train = group(Train)
    probe: Probe = group(Probe)
    data: Data = group(Data)
    seed: Seed = group(Seed)
    mesh: Mesh = group(Mesh)
