"""Which way of scaling the branch pays in depth: by constants, by learned scalars, by channel, or by initialisation?

paper     CaiT (Touvron et al. 2021, arXiv 2103.17239), table 1, in miniature; with the factors 1/√S and 1/S beside
command   python -m experiments.launch --config=sweeps/residual_scaling.py --workdir=runs/residual_scaling [--size=NAME]
smoke     4 cells, 2 programs: the machinery, no verdict
quick     9 scalings x 3 depths x 3 learning rates x 3 seeds = 243 cells, 27 programs, 6 minutes on 2 cores
full      9 scalings x 5 depths x 3 learning rates x 5 seeds = 675 cells, 45 minutes on 2 cores
rows      pre with a gain of 0.1 stands for CaiT's scalar per sublayer, which starts at ε and is learned
expect    all train; Pre-LN and what scales its branches are close together, what has no norm is behind them
"""

from experiments.claims import Claim, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

NORMED, BARE = "with norms", "without norms"
FAMILIES = {
    **dict.fromkeys(("pre", "sqrt-depth", "inverse-depth", "layerscale"), NORMED),
    **dict.fromkeys(("skipinit", "rezero", "fixup", "none"), BARE),
}
ROW = ("model.wiring", "model.init", "model.gains.branch")
SCALINGS = (
    ("pre", None, None),
    ("sqrt-depth", None, None),
    ("inverse-depth", None, None),
    ("pre", None, 0.1),
    ("layerscale", None, None),
    ("skipinit", None, None),
    ("rezero", None, None),
    ("fixup", None, None),
    ("none", "t-fixup", None),
)
CAIT = "CaiT, Touvron et al. 2021, arXiv 2103.17239, table 1"
STEPS, SLOWEST = "steps_to_target", {"optim.learning_rate": 1e-3}
SCALED = ("sqrt-depth", "inverse-depth", "layerscale", "skipinit", "rezero", "fixup")
SIZES = {
    "smoke": {"rows": SCALINGS[:5:4], "depths": [6], "rates": [3e-3], "seeds": 2, "steps": 20},
    "quick": {"rows": SCALINGS, "depths": [6, 12, 24], "rates": [1e-3, 3e-3, 1e-2], "seeds": 3, "steps": 100},
    "full": {"rows": SCALINGS, "depths": [6, 12, 18, 24, 36], "rates": [1e-3, 3e-3, 1e-2], "seeds": 5, "steps": 250},
}
PAPER = Paper(
    title="ImageNet, top-1 accuracy in percent",
    source=CAIT,
    spanners=(("ImageNet top-1, DeiT-S (CaiT, table 1)", ("12L", "18L", "24L", "36L")),),
    rows={
        "layerscale": ("80.5 [V2]", "81.7 [V2]", "82.4 [V2]", "82.9 [V2]"),
        "rezero": ("78.3 [V2]", "80.1 [V2]", "80.8 [V2]", "81.6 [V2]"),
        "fixup": ("80.7 [V2]", "82.0 [V2]", "82.3 [V2]", "82.4 [V2]"),
        "none": ("79.4 [V2]", "81.7 [V2]", "81.5 [V2]", "82.1 [V2]"),  # T-Fixup
    },
    extra_rows=(
        ("Pre-LN", NORMED, ("79.9 [V2]", "80.1 [V2]", "78.9, did not converge [V2]", "78.9, did not converge [V2]")),
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
    seeds = range(size["seeds"])
    return hyper.product(
        [
            [dict(zip(ROW, row, strict=True)) for row in size["rows"]],
            hyper.sweep("model.num_layers", size["depths"]),
            hyper.sweep("optim.learning_rate", size["rates"]),
            hyper.zipit([hyper.sweep("seed.init", seeds), hyper.sweep("seed.data", seeds)]),
        ]
    )


def get_table(size):
    shared = {
        "rows": ROW,
        "columns": ("model.num_layers",),
        "nuisance": ("optim.learning_rate",),
        "seeds": ("seed.init", "seed.data"),
        "baseline": dict(zip(ROW, SCALINGS[0], strict=True)),
        "groups": FAMILIES,
        "labels": {depth: f"{depth}L" for depth in size["depths"]},
    }
    return [
        Table(**shared, paper=PAPER, title="Scaling the branch: validation loss by depth"),
        Table(**shared, metric="progress", lower_is_better=False, title="Scaling the branch: progress by depth"),
    ]


def of(metric, depth, wiring, gain=None, **more):
    """A metric of a scaling at a depth, at its best learning rate unless `more` has one."""
    where = {"model.wiring": wiring, "model.init": None, "model.gains.branch": gain}
    return Quantity(metric, where | {"model.num_layers": depth} | more)


def change(wiring):
    """Validation loss at 24 layers minus that at 6, each at its best learning rate."""
    where = {"model.wiring": wiring, "model.init": None, "model.gains.branch": None}
    return Quantity("val_loss", where, over="model.num_layers", fit="last_minus_first", between=(6, 24))


def get_claims(size):
    def claim(name, statement, source, rule, caveat):
        return Claim(name, statement, source, "training", tuple(rule), caveat=caveat)

    return [
        claim(
            "LS-2",
            "What LayerScale gains over Pre-LN grows from 6 to 24 layers",
            CAIT,
            [Greater(change("pre"), change("layerscale"), 0.02)],
            "Nats; each arm at its best learning rate at each depth. At 24 layers λ starts at 1e-5 and has to grow.",
        ),
        claim(
            "LS-3",
            "Factors per channel beat one scalar per sublayer at 24 layers",
            CAIT,
            [Greater(of("val_loss", 24, "pre", 0.1), of("val_loss", 24, "layerscale"), 0.01)],
            "The scalar here is 0.1 and not learned. Expected: INCONCLUSIVE.",
        ),
        *(
            claim(
                f"RZ-3-{depth}",
                f"ReZero reaches progress 0.2 in at most 0.75 times the steps of Pre-LN at {depth} layers",
                "ReZero, Bachlechner et al. 2021, arXiv 2003.04887",
                [Greater(*(of(STEPS, depth, name, **SLOWEST) for name in ("pre", "rezero")), 1 / 0.75, ratio=True)],
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
            Panel("val_loss", "model.num_layers", log_x=True, at={"optim.learning_rate": rate}, title=f"{rate:g}")
            for rate in size["rates"]
        ),
        lines=ROW,
        title="Validation loss against depth, a panel per learning rate",
    )
