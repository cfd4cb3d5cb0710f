"""Which methods are, before the first step, exactly another one, and which weights may be scaled without any effect?

paper     every method of the catalogue that its paper derives from another, or whose paper says what it is blind to
command   python -m experiments.launch --config=sweeps/identities.py --size=full --workdir=runs/identities
smoke     8 cells
quick     114 cells, 38 programs
full      114 cells, the same: a minute on 2 cores
setting   width 32, 4 heads, 6 layers, ReLU, 2 sequences of 16 random tokens; the same seed is the same kernels in all
          arms, so two arms that are one function give the same logits; nothing is trained
expect    all hold, to the precision of float32
"""

from experiments.claims import Claim, Every, Quantity, Same
from experiments.column import Column
from experiments.table_spec import Table
from flax_tx import config

W, N, KIND = "model.wiring", "model.num_layers", "model.norm.kind"
RMS = {KIND: "rmsnorm"}
ALPHA = 12**0.25  # DeepNorm's at 6 layers
# 4D² and 2DF a layer, scale and bias of 13 norms, tokens, positions and head; D = 32, F = 128
PARAMS = 6 * (4 * 32**2 + 2 * 32 * 128) + 13 * 2 * 32 + 32 * (32 + 16 + 32)
ARMS = {
    "pre": {},
    "post": {W: "post"},
    "sandwich": {W: "sandwich"},
    "branch": {W: "branch"},
    "sub-ln": {W: "sub-ln"},
    "hybridnorm": {W: "hybridnorm"},
    "residual": {W: "residual"},
    "ngpt": {W: "ngpt"},
    "rezero": {W: "rezero"},
    "skipinit": {W: "skipinit"},
    "fixup": {W: "fixup"},
    "layerscale": {W: "layerscale"},
    "pre, branches times 0.1": {"model.gains.branch": 0.1},
    "deepnorm": {W: "deepnorm"},
    "post, branches over α": {W: "post", "model.init": "deepnorm", "model.gains.branch": 1 / ALPHA},
    "hyper-connections": {W: "hyper-connections"},
    "dynamic-hyper-connections": {W: "dynamic-hyper-connections"},
    "mhc": {W: "mhc"},
    "denseformer": {W: "denseformer"},
    "pre, rmsnorm": RMS,
    "pre, scalenorm": {KIND: "scalenorm"},
    "attention-residuals, rmsnorm": RMS | {W: "attention-residuals"},
    "block-attention-residuals, rmsnorm": RMS | {W: "block-attention-residuals"},
    "pre, 1 layer": {N: 1},
    "pre, 3 layers": {N: 3},
    "layernorm-scaling, 1 layer": {N: 1, W: "layernorm-scaling"},
    "value residual, 1 layer": {N: 1, "model.value_residual": "half"},
    "mix-ln, 3 layers": {N: 3, W: "mix-ln"},
    "completep, L = L₀": {W: "completep", "model.base_layers": 6},
    "depth-mup, L = L₀": {W: "depth-mup", "model.base_layers": 6},
    "pre, stream times 3": {"model.embed_scale": 3.0, "model.gains.branch": 3.0, "model.norm.eps": 1e-9},
    "pre, tiny eps": {"model.norm.eps": 1e-9},
    "qk-norm": {"model.qk_norm": "norm"},
    "sandwich, dyt": {W: "sandwich", KIND: "dyt"},
    "sandwich, rmsnorm": RMS | {W: "sandwich"},
    "uniform attention": {"model.init": "uniform-attention", "model.causal": False},
    **{f"{h} heads": {"model.num_heads": h} for h in (1, 8)},
}
SIZES = {
    "smoke": {"arms": ("pre", "post", "residual", "hyper-connections"), "seeds": 2},
    "quick": {"arms": tuple(ARMS), "seeds": 3},
    "full": {"arms": tuple(ARMS), "seeds": 3},
}


def get_config():
    c = config.default()
    c.model.width = 32
    c.model.activation = "relu"
    c.model.unroll = 1
    c.data.name = "uniform"
    c.data.vocab_size = 32
    c.data.seq_len = 16
    c.train.batch_size = 2
    c.train.steps = 0
    c.probe.start = True
    c.probe.scales = True
    return c


def get_hyper(hyper, size):
    seeds = hyper.seeds(size["seeds"])
    return hyper.product([[{"arm": name} | ARMS[name] for name in size["arms"]], seeds])


def get_table(size):
    doubled = ("attention_query", "attention_key", "attention_value", "attention_out", "ffn_in", "ffn_out")
    return Table(
        rows=("arm",),
        columns_of=tuple(Column(f"rescale_{name}", f"2 {name}", format=".1e") for name in doubled),
        metric="params",
        seeds=("seed.init", "seed.data"),
        title="How far the output moves when a kernel is doubled in every layer",
    )


def same(id, statement, source, a, b, of="logits", tolerance=1e-4, caveat=""):
    """A claim that two arms are one function."""
    rule = (Same({"arm": a}, {"arm": b}, of, tolerance),)
    return Claim(id, statement, source, "exact", rule=rule, caveat=caveat)


def blind(id, statement, source, arm, kernels, seen=None):
    """A claim that doubling kernels changes nothing and that their gradients are orthogonal to them; `seen` (an arm)
    shows the measure at work: there the same kernels matter."""
    rule = [Every(Quantity(f"rescale_{name}", {"arm": arm}), high=1e-4) for name in kernels]
    rule += [Every(Quantity(f"radial_{name}", {"arm": arm}), -1e-4, 1e-4) for name in kernels]
    check = [Every(Quantity(f"rescale_{name}", {"arm": seen}), low=1e-2) for name in kernels if seen]
    return Claim(id, statement, source, "exact", rule=tuple(rule), check=tuple(check))


def every(id, statement, source, *bounds):
    """A claim of ranges that every seed keeps: (metric, arm, low, high)."""
    rule = tuple(Every(Quantity(metric, {"arm": arm}), low, high) for metric, arm, low, high in bounds)
    return Claim(id, statement, source, "exact", rule=rule)


def get_claims():
    hc = "Hyper-Connections, Zhu et al. 2024, arXiv 2409.19606"
    kimi = "Attention Residuals, Kimi Team 2026"
    completep = "CompleteP, Dey et al. 2025, arXiv 2505.01618, table 1"
    return [
        same("HC-1", "hyper-connections start as Pre-LN", hc, "hyper-connections", "pre"),
        same("HC-1d", "dynamic hyper-connections start as Pre-LN", hc, "dynamic-hyper-connections", "pre"),
        same(
            "HC-1m",
            "mHC, with our biases, starts as Pre-LN",
            "mHC, Xie et al. 2025, arXiv 2512.24880",
            "mhc",
            "pre",
            tolerance=1e-2,
            caveat="the paper's biases are not public; ours leave a trace of the other streams",
        ),
        same("AR-1", "attention residuals start as Pre-RMSNorm", kimi, "attention-residuals, rmsnorm", "pre, rmsnorm"),
        same(
            "AR-1b",
            "block attention residuals start as Pre-RMSNorm",
            kimi,
            "block-attention-residuals, rmsnorm",
            "pre, rmsnorm",
        ),
        same(
            "DLCL-2",
            "DenseFormer, whose weights start at the identity, starts as Pre-LN",
            "DenseFormer, Pagliardini et al. 2024, arXiv 2402.02622",
            "denseformer",
            "pre",
        ),
        same(
            "RD-1",
            "the stream of ResiDual that blocks read is Post-LN's: the same branches",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802",
            "residual",
            "post",
            of="branch",
            tolerance=0.0,
        ),
        same(
            "DN-0",
            "DeepNorm is Post-LN with branches over α and the same initial β",
            "DeepNet, Wang et al. 2022, arXiv 2203.00555; LN(αx + f) = LN(x + f/α)",
            "deepnorm",
            "post, branches over α",
        ),
        same(
            "MIX-1",
            "Mix-LN without a Post-LN layer (⌊3/4⌋ = 0) is Pre-LN",
            "Mix-LN, Li et al. 2024, arXiv 2412.13795",
            "mix-ln, 3 layers",
            "pre, 3 layers",
            tolerance=0.0,
        ),
        same(
            "LNS-2",
            "LayerNorm Scaling leaves the first layer as it is",
            "The Curse of Depth, Sun et al. 2025, arXiv 2502.05795",
            "layernorm-scaling, 1 layer",
            "pre, 1 layer",
        ),
        same(
            "VR-1",
            "a value residual leaves the first layer as it is",
            "ResFormer, Zhou et al. 2024, arXiv 2410.17897",
            "value residual, 1 layer",
            "pre, 1 layer",
        ),
        same("CP-0", "CompleteP at its base depth is the base model", completep, "completep, L = L₀", "pre"),
        same(
            "CP-0d",
            "Depth-μP at its base depth is the base model",
            f"Yang et al. 2023, arXiv 2310.02244; {completep}",
            "depth-mup, L = L₀",
            "pre",
        ),
        same(
            "LS-1",
            "LayerScale with one value in all channels is a scalar on the branch",
            "CaiT, Touvron et al. 2021, arXiv 2103.17239",
            "layerscale",
            "pre, branches times 0.1",
        ),
        same(
            "NS-1",
            "ScaleNorm with g = √d is RMSNorm",
            "Nguyen & Salazar 2019, arXiv 1910.05895",
            "pre, scalenorm",
            "pre, rmsnorm",
        ),
        same(
            "PRE-1",
            "Pre-LN does not see the scale of its stream: embedding and branches times 3 give the same logits",
            "Xiong et al. 2020, arXiv 2002.04745; the telescoping sum",
            "pre, stream times 3",
            "pre, tiny eps",
        ),
        blind(
            "SW-2",
            "Sandwich-LN and Peri-LN do not see the scale of output kernels, which Pre-LN does",
            "CogView, Ding et al. 2021, arXiv 2105.13290; Peri-LN, Kim et al. 2025, arXiv 2502.02732",
            "sandwich",
            ("attention_out", "ffn_out"),
            seen="pre",
        ),
        blind(
            "PERI-2",
            "neither does a norm on the branch alone (OLMo 2)",
            "OLMo 2, arXiv 2501.00656",
            "branch",
            ("attention_out", "ffn_out"),
            seen="pre",
        ),
        blind(
            "RMS-4",
            "nor does RMSNorm: the gradient of a kernel that only a norm reads is orthogonal to it",
            "Zhang & Sennrich 2019, arXiv 1910.07467",
            "sandwich, rmsnorm",
            ("attention_out", "ffn_out"),
            seen="pre",
        ),
        blind(
            "QK-1",
            "with qk-norm the scale of queries and keys has no effect",
            "Dehghani et al. 2023, arXiv 2302.05442; Henry et al. 2020, arXiv 2010.04245",
            "qk-norm",
            ("attention_query", "attention_key"),
            seen="pre",
        ),
        blind(
            "HN-1",
            "with norms on Q, K and V (HybridNorm) the scale of all three has no effect",
            "HybridNorm, Zhuo et al. 2025, arXiv 2503.04598",
            "hybridnorm",
            ("attention_query", "attention_key", "attention_value"),
            seen="pre",
        ),
        blind(
            "SUB-2",
            "with a norm before each output kernel (Sub-LN) the kernels before it have no scale, under ReLU",
            "Magneto, Wang et al. 2022, arXiv 2210.06423",
            "sub-ln",
            ("attention_value", "ffn_in"),
            seen="pre",
        ),
        every(
            "DYT-1",
            "DyT is no norm: with it the scale of the kernels before does matter",
            "Zhu et al. 2025, arXiv 2503.10622",
            ("rescale_attention_out", "sandwich, dyt", 1e-2, None),
            ("rescale_ffn_out", "sandwich, dyt", 1e-2, None),
        ),
        every(
            "QK-1b",
            "with qk-norm no logit is larger than √d_h",
            "Dehghani et al. 2023, arXiv 2302.05442",
            ("logit_max_start", "qk-norm", None, 8**0.5 + 1e-4),
        ),
        Claim(
            "QK-2",
            "queries and keys times 10 sharpen attention to less than half its entropy, but not under qk-norm",
            "Dehghani et al. 2023, arXiv 2302.05442; Zhai et al. 2023, arXiv 2303.06296",
            "init",
            rule=(
                Every(Quantity("entropy_share", {"arm": "pre"}), high=0.5),
                Every(Quantity("entropy_share", {"arm": "qk-norm"}), 1 - 1e-4, 1 + 1e-4),
            ),
        ),
        *(
            every(
                id,
                f"{name} starts as the identity: the stream never moves and no kernel of a branch has a gradient",
                source,
                ("identity_error", arm, None, 0.0),
                ("branch_gradient", arm, None, high),
            )
            for id, name, source, arm, high in (
                ("RZ-1", "ReZero", "Bachlechner et al. 2021, arXiv 2003.04887", "rezero", 0.0),
                ("SK-1", "SkipInit", "De & Smith 2020, arXiv 2002.10444", "skipinit", 0.0),
            )
        ),
        every(
            "RZ-1g",
            "ReZero's gains have a gradient where its kernels have none",
            "Bachlechner et al. 2021, arXiv 2003.04887",
            ("gain_gradient", "rezero", 1e-6, None),
        ),
        every(
            "FX-1",
            "Fixup starts as the identity",
            "Zhang et al. 2019, arXiv 1901.09321",
            ("identity_error", "fixup", None, 0.0),
        ),
        every(
            "NG-1",
            "the stream of nGPT stays on the unit sphere",
            "nGPT, Loshchilov et al. 2024, arXiv 2410.01131",
            ("stream_span", "ngpt", None, 1 + 1e-4),
        ),
        every(
            "AT-1",
            "queries and keys at 0 attend uniformly: the entropy is ln n",
            "Xiong et al. 2020, arXiv 2002.04745",
            ("attention_entropy_start", "uniform attention", 2.77258, 2.77260),
        ),
        Claim(
            "VAS-3",
            "the number of parameters does not depend on the number of heads",
            "Vaswani et al. 2017, arXiv 1706.03762, section 3.2.2",
            "exact",
            rule=tuple(
                Every(Quantity("params", {"arm": arm}), PARAMS, PARAMS) for arm in ("1 heads", "pre", "8 heads")
            ),
        ),
    ]
