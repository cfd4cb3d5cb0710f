"""What does each way of adding and normalising do to gradients and to the stream before the first step, at depth?

paper     On Layer Normalization in the Transformer Architecture (Xiong et al. 2020, arXiv 2002.04745), figure 3 and
          theorem 1, and every later paper that argues from the state at initialisation
command   python -m experiments.launch --config=sweeps/init_atlas.py --size=full --workdir=runs/init_atlas
smoke     8 cells
quick     120 cells, 24 programs
full      378 cells, 54 programs, a minute on 2 cores with nothing compiled yet
setting   width 64, 4 heads, ReLU, no positions, no bias, norms that learn nothing, Xavier-normal kernels, embedding
          N(0, 1), head N(0, 1/D), 4 sequences of 16 random tokens and targets; nothing is trained
expect    Pre-LN's last gradient shrinks as L^-1/2 and Post-LN's does not; Pre-LN's stream grows, sandwich's by one per
          sublayer, LayerNorm Scaling's like log L; DeepNorm -1/2, KEEL -1, T-Fixup about -1/2
"""

from experiments.claims import Above, Claim, Every, Greater, Quantity, Within
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx import config

ARMS = {  # (wiring, init) -> (family, how it reads)
    ("post", None): ("Post-LN", "Post-LN"),
    ("b2t", None): ("Post-LN", "B2T"),
    ("residual", None): ("Post-LN", "ResiDual"),
    ("admin", None): ("Post-LN", "Admin"),
    ("deepnorm", None): ("Post-LN", "DeepNorm"),
    ("deepnorm-glm", None): ("Post-LN", "DeepNorm-GLM"),
    ("keel", None): ("Post-LN", "KEEL"),
    ("pre", None): ("Pre-LN", "Pre-LN"),
    ("pre", "gpt2"): ("Pre-LN", "Pre-LN, GPT-2 init"),
    ("sqrt-depth", None): ("Pre-LN", "1/√S branch"),
    ("inverse-depth", None): ("Pre-LN", "1/S branch"),
    ("layernorm-scaling", None): ("Pre-LN", "LayerNorm Scaling"),
    ("deepscalelm", None): ("Pre-LN", "DeepScaleLM"),
    ("sandwich", None): ("Pre-LN", "Sandwich, Peri-LN"),
    ("branch", None): ("Pre-LN", "OLMo 2"),
    ("sub-ln", None): ("Pre-LN", "Sub-LN"),
    ("none", "t-fixup"): ("no norm", "T-Fixup"),
    ("none", None): ("no norm", "no norm"),
}
QUICK = ("post", "residual", "deepnorm", "keel", "pre", "layernorm-scaling", "sandwich")
SIZES = {
    "smoke": {"arms": [("post", None), ("pre", None)], "depths": [2, 6], "seeds": 2},
    "quick": {"arms": [arm for arm in ARMS if arm[0] in QUICK], "depths": [2, 8, 32], "seeds": 5},
    "full": {"arms": list(ARMS), "depths": [2, 8, 32], "seeds": 7},
}
THEORY = {
    "power of L: last gradient": {"Post-LN": "0", "Pre-LN": "-1/2", "DeepNorm": "-1/2", "KEEL": "-1"},
    "power of L: V_S/V_0": {"Post-LN": "0", "Sandwich, Peri-LN": "1", "1/S branch": "0", "1/√S branch": "0"},
}
DEPTH, WIRING, INIT = "model.num_layers", "model.wiring", "model.init"


def known(powers, size):
    """What theory says of the arms of a size."""
    return {arm: power for arm, power in powers.items() if arm in {ARMS[row][1] for row in size["arms"]}}


def get_config():
    c = config.default()
    c.model.width = 64
    c.model.num_heads = 4
    c.model.activation = "relu"
    c.model.positions = "none"
    c.model.norm.scale = False
    c.model.norm.bias = False
    c.model.init_sd = 0.1
    c.model.unroll = 1
    c.data.name = "uniform"
    c.data.vocab_size = 64
    c.data.seq_len = 16
    c.train.batch_size = 4
    c.train.steps = 0
    c.probe.start = True
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            [{"arm": ARMS[arm][1], WIRING: arm[0], INIT: arm[1]} for arm in size["arms"]],
            hyper.sweep(DEPTH, size["depths"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    slope = {"over": DEPTH, "fit": "slope"}
    deep = {DEPTH: size["depths"][-1]}
    title = f"{size['depths'][-1]} layers"
    return Table(
        rows=("arm",),
        columns_of=(
            Column("grad_last", "power of L: last gradient", **slope),
            Column("stream_growth", "power of L: V_S/V_0", **slope),
            Column("stream_growth", f"V_S/V_0, {title}", at=deep, format=".3g"),
            Column("turn_power", f"power of k: turn, {title}", at=deep),
            Column("spread_end", f"R_S, {title}", at=deep),
        ),
        metric="grad_last",
        seeds=("seed.init", "seed.data"),
        groups={ARMS[arm][1]: ARMS[arm][0] for arm in size["arms"]},
        theory={title: known(powers, size) for title, powers in THEORY.items()},
        title="Before the first step: gradients and streams against depth",
    )


def get_figure(size):
    deep = {DEPTH: size["depths"][-1]}
    return Figure(
        panels=(
            Panel("grad_last", x=DEPTH, log_x=True, log_y=True, title="gradient of the last W₂", shown=(0, 1e2)),
            Panel("gradient.ffn_0.out", at=deep, log_y=True, title="gradient of W₂ by layer", shown=(0, 1e2)),
            Panel("stream", at=deep, log_y=True, title="mean square of the stream, V_k", shown=(0.1, 1e3)),
            Panel("turn", at=deep, log_y=True, title="1 - cos across a sublayer"),
            Panel("spread", at=deep, log_y=True, title="rank residual R_k"),
        ),
        lines=("arm",),
        title="Before the first step",
    )


def slope(metric, wiring, init=None):
    """The power of the depth that a metric grows by."""
    return Quantity(metric, {"arm": ARMS[wiring, init][1]}, over=DEPTH, fit="slope")


def deep(metric, wiring, init=None, layers=32):
    """A metric at one depth."""
    return Quantity(metric, {"arm": ARMS[wiring, init][1], DEPTH: layers})


def get_claims():
    xiong = "Xiong et al. 2020, arXiv 2002.04745"
    lns = "The Curse of Depth, Sun et al. 2025, arXiv 2502.05795"
    kedia = "DeepScaleLM, Kedia et al. 2024, arXiv 2403.09635"
    return [
        Claim(
            "XIO-1",
            "the gradient of the last feed-forward layer shrinks as L^-1/2 under Pre-LN and not under Post-LN",
            f"{xiong}, theorem 1",
            "init",
            rule=(
                Within(slope("grad_last", "pre"), -0.60, -0.38),
                Within(slope("grad_last", "post"), -0.10, 0.25),
                Greater(slope("grad_last", "post"), slope("grad_last", "pre"), 0.35),
            ),
            caveat="the theorem gives upper bounds; this tests that they are tight",
        ),
        Claim(
            "DN-G",
            "DeepNorm's last gradient shrinks as L^-1/2, that of its GLM variant and of KEEL as 1/L",
            "DeepNet, Wang et al. 2022, arXiv 2203.00555; calibrated values, not printed there",
            "init",
            rule=(
                Within(slope("grad_last", "deepnorm"), -0.55, -0.45),
                Within(slope("grad_last", "deepnorm-glm"), -1.1, -0.9),
                Within(slope("grad_last", "keel"), -1.1, -0.9),
            ),
        ),
        Claim(
            "PERI-1",
            "the stream of Peri-LN grows by one per sublayer, V_k = V_0 + k",
            "Peri-LN, Kim et al. 2025, arXiv 2502.02732",
            "init",
            rule=(Above(deep("stream_linear_r2", "sandwich"), 0.98),),
        ),
        Claim(
            "SW-1",
            "every branch of Sandwich-LN adds a variance of one: V_64/V_0 is within 15 % of 65",
            "CogView, Ding et al. 2021, arXiv 2105.13290",
            "init",
            rule=(Within(deep("stream_growth", "sandwich"), 0.85 * 65, 1.15 * 65),),
            caveat="the expectation of V_k; single draws of 64 tokens stray by a quarter at some k",
        ),
        Claim(
            "OL2-1",
            "with a norm on the branch alone (OLMo 2) the stream grows by one per sublayer too, and the gradient is "
            "concentrated in the first layers more than under Peri-LN",
            "OLMo 2, arXiv 2501.00656; calibrated values, not printed there",
            "init",
            rule=(
                Within(deep("stream_growth", "branch"), 0.85 * 65, 1.15 * 65),
                Greater(deep("grad_profile", "sandwich"), deep("grad_profile", "branch"), 2.0, ratio=True),
            ),
        ),
        Claim(
            "LNS-1",
            "LayerNorm Scaling holds the stream: V_64/V_0 < 6 where Pre-LN has more than 20, and it grows with a lower "
            "power of k",
            f"{lns}, lemma 4.1",
            "init",
            rule=(
                Every(deep("stream_growth", "layernorm-scaling"), high=6),
                Every(deep("stream_growth", "pre"), low=20),
                Within(deep("stream_power", "layernorm-scaling"), 0.15, 0.45),
                Within(deep("stream_power", "pre"), 0.9, 1.25),
            ),
        ),
        Claim(
            "LNS-G",
            "the last gradient of LayerNorm Scaling falls faster with depth than that of Pre-LN",
            f"{lns}; calibrated values, not printed there",
            "init",
            rule=(Within(slope("grad_last", "layernorm-scaling"), -0.72, -0.52),),
        ),
        Claim(
            "RD-2",
            "a sublayer turns the stream ever less under Pre-LN (as 1/k) and always as far under Post-LN",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802",
            "init",
            rule=(
                Within(deep("turn_power", "pre"), -1.15, -0.80),
                Within(deep("turn_power", "post"), -0.15, 0.15),
                Within(deep("turn_power", "residual"), -0.15, 0.15),
                Within(deep("turn_level_error", "post"), -0.2, 0.2),
            ),
        ),
        Claim(
            "RD-3",
            "the first gradient of ResiDual at 32 layers is at least that of Post-LN, and its last does not depend on "
            "the depth",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802",
            "init",
            rule=(
                Greater(deep("grad_first", "residual"), deep("grad_first", "post")),
                Within(slope("grad_last", "residual"), -0.15, 0.15),
            ),
        ),
        Claim(
            "TF-1",
            "T-Fixup keeps the stream of a network without norms: V_64/V_0 < 1.6, more than 1e6 without it",
            "T-Fixup, Huang et al. 2020, PMLR 119",
            "init",
            rule=(
                Every(deep("stream_growth", "none", "t-fixup"), high=1.6),
                Every(deep("stream_growth", "none"), low=1e6),
            ),
        ),
        Claim(
            "TF-2",
            "the last gradient of T-Fixup shrinks as L^-1/4",
            "T-Fixup, Huang et al. 2020, PMLR 119",
            "init",
            rule=(Within(slope("grad_last", "none", "t-fixup"), -0.35, -0.15),),
            caveat="the embedding is scaled by (9L)^-1/4 too, which the calibrated setting did not do; that alone "
            "moves the power to about -1/2",
        ),
        Claim(
            "GI-1",
            "scaling the initial writers by 1/√S, or the branches, keeps the stream (V_S/V_0 < 1.6); with the initial "
            "scale the last gradient does not depend on the depth",
            "GPT-2, Radford et al. 2019; SkipInit, De & Smith 2020, arXiv 2002.10444",
            "init",
            rule=(
                Every(deep("stream_growth", "pre", "gpt2"), high=1.6),
                Every(deep("stream_growth", "sqrt-depth"), high=1.6),
                Within(slope("grad_last", "pre", "gpt2"), -0.10, 0.10),
            ),
        ),
        Claim(
            "CP-1",
            "the mean squares of branches times L^-α sum to L^(1-2α): powers 1, 0 and -1 for α = 0, 1/2, 1",
            "CompleteP, Dey et al. 2025, arXiv 2505.01618, table 1",
            "init",
            rule=(
                Within(slope("branch_sum", "pre"), 0.9, 1.25),
                Within(slope("branch_sum", "sqrt-depth"), -0.1, 0.1),
                Within(slope("branch_sum", "inverse-depth"), -1.1, -0.9),
            ),
            caveat="under Pre-LN later branches see better aligned tokens, which adds a little to the power of 1",
        ),
        Claim(
            "DS-1",
            "DeepScaleLM keeps the stream at its size: max V_k/min V_k < 1.5625 at 32 layers",
            kedia,
            "init",
            rule=(Every(deep("stream_span", "deepscalelm"), high=1.5625),),
            caveat="its correlation of tokens, 0.22, is that of text; here tokens are random",
        ),
        Claim(
            "DS-3",
            "the stream of Pre-LN with Xavier kernels grows linearly: R² > 0.98 of V_k against k",
            kedia,
            "init",
            rule=(Above(deep("stream_linear_r2", "pre"), 0.98),),
        ),
        Claim(
            "SUB-V",
            "the initial gain of Magneto, √ln 2L, makes the stream of Sub-LN grow several times faster than Pre-LN's",
            "Magneto, Wang et al. 2022, arXiv 2210.06423; calibrated values, not printed there",
            "init",
            rule=(Greater(deep("stream_growth", "sub-ln"), deep("stream_growth", "pre"), 4.0, ratio=True),),
        ),
    ]
