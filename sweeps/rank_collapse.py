"""Do tokens become one another with depth, which layers get the gradient, and what can one head attend to?

paper     Attention Is Not All You Need (Dong et al. 2021, arXiv 2103.03404); Signal Propagation in Transformers (Noci
          et al. 2022, arXiv 2206.03126); Xiong et al. 2020, arXiv 2002.04745, lemma 2; Low-Rank Bottleneck
          (Bhojanapalli et al. 2020, arXiv 2002.07028)
command   python -m experiments.launch --config=sweeps/rank_collapse.py --size=full --workdir=runs/rank_collapse
smoke     6 cells
quick     135 cells, 27 programs
full      135 cells, the same: half a minute on 2 cores
setting   as in sweeps/init_atlas.py, and five parts: attention to all tokens; gradients at 12 layers on 4,096 tokens;
          the setting of Xiong et al.'s theory; heads of one layer with learned positions; small weights
expect    without skips attention makes all tokens equal in four layers; Post-LN loses their difference by 48 sublayers,
          Pre-LN keeps a quarter, branches times 1/√S keep nearly all
"""

from experiments.claims import Above, Below, Claim, Every, Greater, Quantity, Within
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx import config

WIRING, DEPTH, HEADS, FFN = "model.wiring", "model.num_layers", "model.num_heads", "model.num_ffn"
SKIP, PRE, WIDTH = "model.gains.skip", "model.slots.pre", "model.width"
BASE = {
    **{WIRING: "pre", DEPTH: 12, HEADS: 4, FFN: 1, SKIP: None, PRE: None, WIDTH: 64, "model.mlp_dim": None},
    **{"model.causal": False, "model.init": None, "model.positions": "none", "model.embed_scale": 1.0},
    **{"train.batch_size": 4, "data.seq_len": 16},
}
NO_SKIP = {WIRING: "custom", SKIP: 0.0}
MANY = {"model.causal": True, "train.batch_size": 128, "data.seq_len": 32}  # 4,096 tokens
THEORY = {"model.init": "uniform-attention", HEADS: 1, DEPTH: 16}
PARTS = {
    "attention alone": NO_SKIP | {FFN: 0, DEPTH: 6},
    "attention, skip and norm": {FFN: 0},
    "attention and feed-forward": NO_SKIP | {DEPTH: 6},
    "attention and norm": NO_SKIP | {PRE: True, FFN: 0, DEPTH: 8},
    **{f"{w} at {n}": {WIRING: w, DEPTH: n} for w in ("post", "pre", "sqrt-depth") for n in (1, 16, 24, 48)},
    **{f"{w} by layer": MANY | {WIRING: w} for w in ("post", "pre", "mix-ln")},
    **{f"theory, width {d}": THEORY | {WIDTH: d, "model.mlp_dim": d} for d in (64, 128)},
    **{f"{h} heads": {HEADS: h, DEPTH: 1, "model.positions": "learned", "data.seq_len": 32} for h in (1, 2, 4, 8, 16)},
    "small weights": {"model.init": "normal", DEPTH: 16},
}
SMOKE = ("attention alone", "pre at 16", "8 heads")
SIZES = {
    "smoke": {"parts": SMOKE, "seeds": 2},
    "quick": {"parts": tuple(PARTS), "seeds": 5},
    "full": {"parts": tuple(PARTS), "seeds": 5},
}


def get_config():
    c = config.default()
    c.model.activation = "relu"
    c.model.norm.scale = False
    c.model.norm.bias = False
    c.model.unroll = 1
    c.data.name = "uniform"
    c.data.vocab_size = 64
    c.train.steps = 0
    c.probe.start = True
    return c


def get_hyper(hyper, size):
    seeds = hyper.seeds(size["seeds"])
    return hyper.product([[{"arm": name} | BASE | PARTS[name] for name in size["parts"]], seeds])


def get_table(size):
    return Table(
        rows=("arm",),
        columns_of=(
            Column("spread_end", "R_S"),
            Column("grad_profile", "last over first gradient", format=".3g"),
            Column("qv_gradient", "gradient of Q over V", format=".3g"),
            Column("logit_rank", "rank of logits", format=".0f"),
        ),
        metric="spread_end",
        seeds=("seed.init", "seed.data"),
        title="Rank residual, gradient profile, and rank of the attention logits before the first step",
    )


def get_figure(size):
    at = {DEPTH: max(PARTS[name].get(DEPTH, BASE[DEPTH]) for name in size["parts"]), "model.causal": False}
    return Figure(
        panels=(Panel("spread", at=at, log_y=True, title=f"R_k, attention to all tokens, {at[DEPTH]} layers"),),
        lines=("arm",),
        title="How much of the stream differs between tokens",
    )


def of(metric, part):
    """A metric of a part."""
    return Quantity(metric, {"arm": part})


def get_claims():
    dong = "Dong et al. 2021, arXiv 2103.03404"
    noci = "Noci et al. 2022, arXiv 2206.03126"
    xiong = "Xiong et al. 2020, arXiv 2002.04745"
    return [
        Claim(
            "RC-1",
            "attention without skips makes tokens equal faster than exponentially: R_k+1 <= R_k² below 0.3, and R_4 is "
            "at the floor of float32",
            dong,
            "init",
            rule=(
                Above(of("collapse_power", "attention alone"), 2.0),
                Every(of("spread_4", "attention alone"), high=1e-6),
            ),
            caveat="the theory has a power of 3; float32 sees R_k down to about 3e-7",
        ),
        Claim(
            "RC-2",
            "with a skip and a norm before it, attention keeps the tokens apart: R_12 > 0.4",
            dong,
            "init",
            rule=(Above(of("spread_end", "attention, skip and norm"), 0.4),),
        ),
        Claim(
            "RC-3",
            "neither feed-forward sublayers nor norms prevent the collapse without skips",
            dong,
            "init",
            rule=(
                Every(of("spread_end", "attention and feed-forward"), high=1e-5),
                Every(of("spread_end", "attention and norm"), high=1e-5),
            ),
            caveat="6 layers with feed-forward, 8 with norms, in float32",
        ),
        Claim(
            "NO-1",
            "after 48 sublayers of attention to all tokens Post-LN has lost their difference (R < 0.01), Pre-LN keeps "
            "0.15 to 0.5 of it, branches times 1/√S more than 0.9",
            noci,
            "init",
            rule=(
                Every(of("spread_end", "post at 24"), high=0.01),
                Within(of("spread_end", "pre at 24"), 0.15, 0.5),
                Every(of("spread_end", "sqrt-depth at 24"), low=0.9),
            ),
        ),
        Claim(
            "NO-1d",
            "the same after 48 layers",
            noci,
            "init",
            rule=(
                Every(of("spread_end", "post at 48"), high=0.01),
                Within(of("spread_end", "pre at 48"), 0.15, 0.5),
                Every(of("spread_end", "sqrt-depth at 48"), low=0.9),
            ),
        ),
        Claim(
            "NO-2",
            "where tokens become equal, queries lose their gradient: in the last of 16 layers the gradient of Q over "
            "that of V is below 1/100 of one layer's under Post-LN, below 1/5 under Pre-LN, above 0.6 with 1/√S",
            noci,
            "init",
            rule=(
                Greater(of("qv_gradient", "post at 1"), of("qv_gradient", "post at 16"), 100, ratio=True),
                Greater(of("qv_gradient", "pre at 1"), of("qv_gradient", "pre at 16"), 5, ratio=True),
                Greater(of("qv_gradient", "sqrt-depth at 16"), of("qv_gradient", "sqrt-depth at 1"), 0.6, ratio=True),
            ),
        ),
        Claim(
            "XIO-2",
            "in the setting of the theory the stream of Pre-LN stays inside 1 + l/2 <= V_l <= 1 + 3l/2",
            f"{xiong}, lemma 2",
            "init",
            rule=(
                Below(of("stream_bounds", "theory, width 64"), 0.15),
                Below(of("stream_bounds", "theory, width 128"), 0.15),
            ),
        ),
        Claim(
            "XIO-3",
            "Post-LN's gradients grow towards the output; Pre-LN's do not",
            f"{xiong}, figure 3",
            "init",
            rule=(
                Above(of("grad_profile", "post by layer"), 1.15),
                Below(of("grad_profile", "pre by layer"), 0.7),
                Greater(of("grad_profile", "post by layer"), of("grad_profile", "pre by layer"), 2, ratio=True),
            ),
            caveat="the stronger sentence, that Pre-LN's are the same in every layer, does not hold: they halve",
        ),
        Claim(
            "NF-1",
            "Pre-LN's gradients are larger in early layers: last over first below 0.6 at 12 layers",
            "NormFormer, Shleifer et al. 2021, arXiv 2110.09456",
            "init",
            rule=(Below(of("grad_profile", "pre by layer"), 0.6),),
        ),
        Claim(
            "MIX-2",
            "Mix-LN's gradients vary less between layers than those of Pre-LN and Post-LN",
            "Mix-LN, Li et al. 2024, arXiv 2412.13795",
            "init",
            rule=tuple(
                Greater(of("grad_cv", f"{other} by layer"), of("grad_cv", "mix-ln by layer"))
                for other in ("pre", "post")
            ),
        ),
        Claim(
            "OL-1",
            "with small weights, N(0, 0.02²), and norms before sublayers, neither stream nor gradient grows: |λ| < 0.1 "
            "per layer",
            "OLMo 2, arXiv 2501.00656",
            "init",
            rule=(
                Within(of("growth_exponent", "small weights"), -0.1, 0.1),
                Within(of("gradient_growth_exponent", "small weights"), -0.1, 0.1),
            ),
        ),
        Claim(
            "BH-1",
            "the logits of a head have rank min(n, d_h): 32, 32, 16, 8, 4 for 1 to 16 heads at width 64 and 32 tokens",
            "Bhojanapalli et al. 2020, arXiv 2002.07028, theorem 1",
            "exact",
            rule=tuple(
                Every(of("logit_rank", f"{h} heads"), low=min(32, 64 // h), high=min(32, 64 // h))
                for h in (1, 2, 4, 8, 16)
            ),
        ),
    ]
