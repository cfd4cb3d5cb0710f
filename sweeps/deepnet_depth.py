"""Which placements still train when the stack gets deep, at one learning rate and each at its best?

paper     DeepNet (Wang et al. 2022, arXiv 2203.00555), table 1, in miniature: rows by family of placement, depths as
          columns; constant learning rate from the first step, no warm-up
command   python -m experiments.launch --config=sweeps/deepnet_depth.py --workdir=runs/deepnet_depth [--size=NAME]
smoke     8 cells, 2 programs: the machinery, no verdict
quick     15 placements x 3 depths x 3 learning rates x 5 seeds = 675 cells, 45 programs;
          25 minutes on 2 cores that had other work too
full      25 placements x 5 depths x 3 learning rates x 5 seeds = 1,875 cells, 2 hours on 2 cores
expect    Post-LN is stuck at the unigram entropy from 12 layers on, not at 6, and SmallInit only delays it to 24;
          DeepNorm, KEEL, Pre-LN and its kin and ReZero train at every depth. Admin has no warm-up here, for which it
          is made (sweeps/warmup.py).
"""

from experiments.claims import Claim, Fails, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

POST, PRE, NO_NORM = "Post-LN family", "Pre-LN family", "no norm"
ARMS = {  # name -> (wiring, init), by family
    POST: {
        "Post-LN": ("post", None),
        "Post-LN, SmallInit": ("post", "small"),
        "Post-LN, DS-Init": ("post", "ds-init"),
        "Admin": ("admin", None),
        "B2T": ("b2t", None),
        "ResiDual": ("residual", None),
        "DeepNorm": ("deepnorm", None),
        "DeepNorm-GLM": ("deepnorm-glm", None),
        "KEEL": ("keel", None),
    },
    PRE: {
        "Pre-LN": ("pre", None),
        "Pre-LN, GPT-2 init": ("pre", "gpt2"),
        "NormFormer": ("normformer", None),
        "DLCL": ("dlcl", None),
        "Sub-LN": ("sub-ln", None),
        "Sandwich, Peri-LN": ("sandwich", None),
        "Peri-LN, GPT-2 init": ("sandwich", "gpt2"),
        "OLMo 2": ("branch", None),
        "LayerNorm Scaling": ("layernorm-scaling", None),
        "LayerScale": ("layerscale", None),
        "Mix-LN": ("mix-ln", None),
        "HybridNorm*": ("hybridnorm-star", None),
    },
    NO_NORM: {
        "ReZero": ("rezero", None),
        "T-Fixup": ("none", "t-fixup"),
        "Fixup": ("fixup", None),
        "no norm": ("none", None),
    },
}
ALL = {arm: row for family in ARMS.values() for arm, row in family.items()}
LATER = ("DS-Init", "GLM", "GPT-2", "DLCL", "Scaling", "LayerScale", "Mix", "Hybrid", " Fixup")
QUICK = [arm for arm in ALL if arm != "Fixup" and not any(word in arm for word in LATER)]
SIZES = {
    "smoke": {"arms": ["Post-LN", "DeepNorm"], "depths": [6], "rates": [1e-3, 3e-3], "seeds": 2, "steps": 20},
    "quick": {"arms": QUICK, "depths": [6, 12, 24], "rates": [1e-3, 3e-3, 1e-2], "seeds": 5, "steps": 100},
    "full": {"arms": list(ALL), "depths": [3, 6, 12, 24, 48], "rates": [1e-3, 3e-3, 1e-2], "seeds": 5, "steps": 250},
}
DEEPNET = "DeepNet, Wang et al. 2022, arXiv 2203.00555, table 1"
TEARS = "Transformers without Tears, Nguyen & Salazar 2019, arXiv 1910.05895, table 5"
NO_WORSE = "DeepNorm is no worse than Pre-LN at any depth, and loses nothing with depth"
FIXES = ("DeepNorm", "KEEL", "Pre-LN", "Sandwich, Peri-LN", "ReZero")
SAME = 3e-3  # the learning rate of the same-rate table

PUBLISHED = {  # BLEU of 6L-6L, 18L-18L, 50L-50L and 100L-100L, by the arm that is the same
    "Post-LN": ("28.1 [V2]", "diverged ?", "diverged [V2]", "diverged [V2]"),
    "Post-LN, DS-Init": ("27.9 [V2]", "diverged ?", "diverged [V2]", "diverged [V2]"),
    "Admin": ("27.9 [V2]", "28.8 ?", "diverged [V2]", "diverged [V2]"),
    "DeepNorm": ("27.8 [V2]", "28.8 [V2]", "29.0 [V2]", "28.9 [V2]"),
    "Pre-LN": ("27.0 [V2]", "28.1 ?", "28.0 ?", "27.4 [V2]"),
    "DLCL": ("27.4 [V2]", "28.2 [V2]", "diverged [V2]", "27.5 [V2]"),
    "NormFormer": ("27.0 [V2]", "28.3 [V2]", "27.8 [V2]", "diverged [V2]"),
    "ReZero": ("26.9 [V2]", "diverged [V2]", "diverged [M]", "diverged [M]"),
    "Fixup": ("27.5 [V2]", "28.4 ?", "27.7 ?", "diverged [V2]"),
    "T-Fixup": ("27.5 [V2]", "28.4 ?", "27.9 ?", "diverged [V2]"),
}


def published(arms):
    """DeepNet's table: rows that this size has beside ours, the others below."""
    families = {arm: family for family, members in ARMS.items() for arm in members}
    return Paper(
        title="WMT-17 En-De, test BLEU",
        source=DEEPNET,
        spanners=(("WMT-17 En-De BLEU (DeepNet, table 1)", ("6L-6L", "18L-18L", "50L-50L", "100L-100L")),),
        rows={arm: row for arm, row in PUBLISHED.items() if arm in arms},
        extra_rows=tuple((arm, families[arm], row) for arm, row in PUBLISHED.items() if arm not in arms),
        note="Encoder-decoders, with warm-up and in half precision; ours are decoders in single precision.",
    )


def get_config(size):
    c = config.default()
    c.model.width = 32
    c.model.num_heads = 4
    c.model.unroll = 1
    c.model.init_sd = 32**-0.5  # of gpt2: as Xavier's in a square kernel
    c.data.name = "markov1"
    c.data.vocab_size = 32
    c.data.seq_len = 24
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.diagnostics = False
    c.optim.schedule = "constant"
    c.optim.weight_decay = 0.0
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            [{"arm": arm, "model.wiring": ALL[arm][0], "model.init": ALL[arm][1]} for arm in size["arms"]],
            hyper.sweep("model.num_layers", size["depths"]),
            hyper.sweep("optim.learning_rate", size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {
        "rows": ("arm",),
        "columns": ("model.num_layers",),
        "metric": "progress",
        "lower_is_better": False,
        "seeds": ("seed.init", "seed.data"),
        "baseline": {"arm": "Pre-LN"} if "Pre-LN" in size["arms"] else None,
        "groups": {arm: family for family, members in ARMS.items() for arm in members if arm in size["arms"]},
        "labels": {depth: f"{depth}L" for depth in size["depths"]},
        "paper": published(size["arms"]),
    }
    best = Table(**shared, nuisance=("optim.learning_rate",), title="Depth, each at its best learning rate")
    return [best, Table(**shared, only={"optim.learning_rate": SAME}, title=f"Depth, all at learning rate {SAME:g}")]


def at(arm, depth):
    """The cells of an arm at a depth."""
    return {"arm": arm, "model.num_layers": depth}


def same(arm, depth, rate=SAME):
    """The same at one learning rate."""
    return at(arm, depth) | {"optim.learning_rate": rate}


def loss(where):
    """The validation loss there."""
    return Quantity("val_loss", where)


def get_claims(size):
    def trains(where):
        return Trains(where, progress=0.05)

    def claim(name, statement, source, rule, check=(), caveat=""):
        return Claim(name, statement, source, "training", tuple(rule), tuple(check), caveat)

    def no_worse(of):
        yield from (Greater(loss(of("Pre-LN", depth)), loss(of("DeepNorm", depth)), -0.01) for depth in size["depths"])
        yield Greater(loss(of("DeepNorm", shallow)), loss(of("DeepNorm", deep)), -0.02)

    shallow, deep = size["depths"][0], size["depths"][-1]
    stuck = [Fails(same("Post-LN", depth)) for depth in (12, 24)]
    nats = f"Margins in nats, depths {shallow} to {deep}; all end near the entropy rate."
    small, default = (
        Quantity("progress", same(arm, 12), stuck_counts=True) for arm in ("Post-LN, SmallInit", "Post-LN")
    )
    return [
        claim(
            "F1",
            "Post-LN is stuck at 24 layers, where five published fixes train: one learning rate, no warm-up",
            DEEPNET,
            [stuck[1], *(trains(same(fix, 24)) for fix in FIXES)],
            caveat="The five are named in advance; that the pattern of failures matches the table's is not tested.",
        ),
        claim(
            "DN-3",
            "At one learning rate, without warm-up, DeepNorm trains 12 and 24 layers, where Post-LN is stuck",
            DEEPNET,
            [*stuck, *(trains(same("DeepNorm", depth)) for depth in (12, 24))],
        ),
        claim("DN-4", f"{NO_WORSE}, each at its best learning rate", DEEPNET, no_worse(at), caveat=nats),
        claim("DN-4s", f"{NO_WORSE}, at one learning rate", DEEPNET, no_worse(same), caveat=nats),
        claim(
            "NS-2",
            "Without warm-up Post-LN fails with depth and Pre-LN does not",
            TEARS,
            [*(trains(same("Pre-LN", depth)) for depth in (6, 12)), trains(same("Post-LN", shallow)), stuck[0]],
            caveat=f"The shallowest Post-LN has {shallow} layers, not 2.",
        ),
        claim(
            "NS-3",
            "SmallInit reclaims part of what Post-LN loses without warm-up",
            TEARS,
            [Greater(small, default, 0.05)],
            check=stuck[:1],
            caveat="At 12 layers, the shallowest here at which the default initialisation is expected to fail.",
        ),
        claim(
            "TF-3",
            "Without norms and warm-up, T-Fixup trains 12 layers at learning rate 1e-3",
            "Huang et al. 2020, PMLR 119",
            [trains(same("T-Fixup", 12, 1e-3))],
        ),
        claim(
            "RZ-2",
            "ReZero trains 24 layers without norms and warm-up, where a plain stack without norms does not",
            "Bachlechner et al. 2021, arXiv 2003.04887",
            [trains(at("ReZero", 24)), Fails(at("no norm", 24))],
            caveat="Each at its best learning rate.",
        ),
        claim(
            "RD-4",
            "ResiDual trains 12 layers without warm-up, where Post-LN is stuck",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802",
            [trains(same("ResiDual", 12))],
            check=stuck[:1],
            caveat="Its first update moves the output even more than that of Post-LN does: it may be REVERSED.",
        ),
        claim(
            "B2T-3",
            "The bottom-to-top connection alone trains 12 and 24 layers, where Post-LN is stuck",
            "Takase et al. 2022, arXiv 2206.00330",
            [trains(same("B2T", depth)) for depth in (12, 24)],
            check=stuck,
            caveat="Without the factor L^-1/2 on all kernels that its code adds.",
        ),
        claim(
            "KE-2",
            "KEEL trains the deepest stack, and is no worse there than Pre-LN",
            "Chen & Wei 2026, arXiv 2601.19895",
            [trains(at("KEEL", deep)), Greater(loss(at("Pre-LN", deep)), loss(at("KEEL", deep)), -0.02)],
            caveat=f"At {deep} layers, each at its best learning rate; the claim is of 48 and more.",
        ),
    ]


def get_figure(size):
    return Figure(
        panels=tuple(
            Panel(
                "progress",
                "model.num_layers",
                log_x=True,
                at={"optim.learning_rate": rate},
                title=f"learning rate {rate:g}",
            )
            for rate in size["rates"]
        ),
        lines=("arm",),
        title="Progress against depth, a panel per learning rate",
    )
