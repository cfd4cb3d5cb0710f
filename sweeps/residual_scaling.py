"""Which way of scaling the branch pays in depth: by constants, by learned scalars, by channel, or by initialisation?

paper     CaiT (Touvron et al. 2021, arXiv 2103.17239), table 1, in miniature; with the factors 1/√S and 1/S beside
command   python -m experiments.launch --config=sweeps/residual_scaling.py --workdir=runs/residual_scaling [--size=NAME]
smoke     4 cells, 2 programs: the machinery, no verdict
quick     9 scalings x 3 depths x 4 learning rates x 3 seeds = 324 cells, 27 programs, 8 minutes
          on 2 cores that had other work too
full      9 scalings x 5 depths x 4 learning rates x 5 seeds = 900 cells, an hour on 2 cores
rows      "0.1 branch", a gain of 0.1, stands for CaiT's scalar per sublayer, which starts at ε and is learned
expect    all train; Pre-LN and what scales its branches are close together, what has no norm is behind them
"""

from experiments.claims import Claim, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

NORMED, BARE = "with norms", "without norms"
ROW = ("model.wiring", "model.init", "model.gains.branch")
ARMS = {  # name -> (wiring, init, gain), by family
    NORMED: {
        "Pre-LN": ("pre", None, None),
        "1/√S branch": ("sqrt-depth", None, None),
        "1/S branch": ("inverse-depth", None, None),
        "0.1 branch": ("pre", None, 0.1),
        "LayerScale": ("layerscale", None, None),
    },
    BARE: {
        "SkipInit": ("skipinit", None, None),
        "ReZero": ("rezero", None, None),
        "Fixup": ("fixup", None, None),
        "T-Fixup": ("none", "t-fixup", None),
    },
}
ALL = {arm: row for family in ARMS.values() for arm, row in family.items()}
CAIT = "CaiT, Touvron et al. 2021, arXiv 2103.17239, table 1"
STEPS, SLOWEST = "steps_to_target", {"optim.learning_rate": 1e-3}
SCALED = ("1/√S branch", "1/S branch", "LayerScale", "SkipInit", "ReZero", "Fixup")
RATES = [1e-3, 3e-3, 1e-2, 3e-2]
SIZES = {
    "smoke": {"arms": ["Pre-LN", "LayerScale"], "depths": [6], "rates": [3e-3], "seeds": 2, "steps": 20},
    "quick": {"arms": list(ALL), "depths": [6, 12, 24], "rates": RATES, "seeds": 3, "steps": 100},
    "full": {"arms": list(ALL), "depths": [6, 12, 18, 24, 36], "rates": RATES, "seeds": 5, "steps": 250},
}
PUBLISHED = {
    "Pre-LN": ("79.9 [V2]", "80.1 [V2]", "78.9, did not converge [V2]", "78.9, did not converge [V2]"),
    "LayerScale": ("80.5 [V2]", "81.7 [V2]", "82.4 [V2]", "82.9 [V2]"),
    "ReZero": ("78.3 [V2]", "80.1 [V2]", "80.8 [V2]", "81.6 [V2]"),
    "Fixup": ("80.7 [V2]", "82.0 [V2]", "82.3 [V2]", "82.4 [V2]"),
    "T-Fixup": ("79.4 [V2]", "81.7 [V2]", "81.5 [V2]", "82.1 [V2]"),
}


def published(arms):
    """CaiT's table: rows that this size has beside ours, the others below."""
    families = {arm: family for family, members in ARMS.items() for arm in members}
    return Paper(
        title="ImageNet, top-1 accuracy in percent",
        source=CAIT,
        spanners=(("ImageNet top-1, DeiT-S (CaiT, table 1)", ("12L", "18L", "24L", "36L")),),
        rows={arm: row for arm, row in PUBLISHED.items() if arm in arms},
        extra_rows=(
            *((arm, families[arm], row) for arm, row in PUBLISHED.items() if arm not in arms),
            ("Pre-LN, drop rate tuned", NORMED, ("79.9 [V2]", "80.7 [V2]", "81.0 [V2]", "81.9 [V2]")),
            ("learned scalar from ε", NORMED, ("80.4 [V2]", "81.6 [V2]", "81.1 [V2]", "81.6 [V2]")),
        ),
        note="Rows differ in warm-up, norms and drop rate too.",
    )


def get_config(size):
    c = config.default()
    c.model.width = 32
    c.model.num_heads = 4
    c.model.unroll = 1
    c.data.name = "markov1"
    c.data.vocab_size = 32
    c.data.seq_len = 24
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.diagnostics = False
    c.optim.warmup_steps = 0.05 * size["steps"]
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            [{"arm": arm} | dict(zip(ROW, ALL[arm], strict=True)) for arm in size["arms"]],
            hyper.sweep("model.num_layers", size["depths"]),
            hyper.sweep("optim.learning_rate", size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {
        "rows": ("arm",),
        "columns": ("model.num_layers",),
        "nuisance": ("optim.learning_rate",),
        "seeds": ("seed.init", "seed.data"),
        "baseline": {"arm": "Pre-LN"},
        "groups": {arm: family for family, members in ARMS.items() for arm in members if arm in size["arms"]},
        "labels": {depth: f"{depth}L" for depth in size["depths"]},
    }
    return [
        Table(**shared, paper=published(size["arms"]), title="Scaling the branch: validation loss by depth"),
        Table(**shared, metric="progress", lower_is_better=False, title="Scaling the branch: progress by depth"),
    ]


def of(metric, depth, arm, **more):
    """A metric of a scaling at a depth, at its best learning rate unless `more` has one."""
    return Quantity(metric, {"arm": arm, "model.num_layers": depth} | more)


def change(arm):
    """Validation loss at 24 layers minus that at 6, each at its best learning rate."""
    return Quantity("val_loss", {"arm": arm}, over="model.num_layers", fit="last_minus_first", between=(6, 24))


def get_claims(size):
    def claim(name, statement, source, rule, caveat):
        return Claim(name, statement, source, "training", tuple(rule), caveat=caveat)

    return [
        claim(
            "LS-2",
            "What LayerScale gains over Pre-LN grows from 6 to 24 layers",
            CAIT,
            [Greater(change("Pre-LN"), change("LayerScale"), 0.02)],
            "Nats; each arm at its best learning rate at each depth. At 24 layers λ starts at 1e-5 and has to grow.",
        ),
        claim(
            "LS-3",
            "Factors per channel beat one scalar per sublayer at 24 layers",
            CAIT,
            [Greater(of("val_loss", 24, "0.1 branch"), of("val_loss", 24, "LayerScale"), 0.01)],
            "The scalar here is 0.1 and not learned. Expected: INCONCLUSIVE.",
        ),
        *(
            claim(
                f"RZ-3-{depth}",
                f"ReZero reaches progress 0.2 in at most 0.75 times the steps of Pre-LN at {depth} layers",
                "ReZero, Bachlechner et al. 2021, arXiv 2003.04887",
                [Greater(*(of(STEPS, depth, name, **SLOWEST) for name in ("Pre-LN", "ReZero")), 1 / 0.75, ratio=True)],
                "At rate 1e-3, since at larger ones both arrive within the 20 steps of the mean. Expected: REVERSED.",
            )
            for depth in (6, 12)
        ),
        claim(
            "RS-1",
            "Every scaling of a branch before a norm or from the identity trains 24 layers",
            f"{CAIT}; Bachlechner et al. 2021, arXiv 2003.04887; De & Smith 2020, arXiv 2002.10444",
            [Trains(of("val_loss", 24, name).at, progress=0.05) for name in SCALED],
            "Not in the published form of any paper: that none of these rows diverges, with warm-up.",
        ),
    ]


def get_figure(size):
    return Figure(
        panels=tuple(
            Panel(
                "val_loss",
                "model.num_layers",
                log_x=True,
                at={"optim.learning_rate": rate},
                title=f"learning rate {rate:g}",
            )
            for rate in size["rates"]
        ),
        lines=("arm",),
        title="Validation loss against depth, a panel per learning rate",
    )
