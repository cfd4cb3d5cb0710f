"""Who needs warm-up: which placements, at which learning rates and depths?

papers    On Layer Normalization (Xiong et al. 2020, arXiv 2002.04745), figure 2; Admin (Liu et al. 2020, arXiv
          2004.08249), its grid of 15 settings; ResiDual (Xie et al. 2023, arXiv 2304.14802), its table without warm-up
command   python -m experiments.launch --config=sweeps/warmup.py --workdir=runs/warmup [--size=NAME]
smoke     8 cells, 2 programs: the machinery, no verdict
quick     5 placements x 2 depths x 4 warm-ups x 4 learning rates x 5 seeds = 800 cells, 10 programs, 10 minutes on
          2 cores; warm-up, learning rate and seeds are data, so that a program is compiled once per depth
full      the same with depth 24, 250 steps: 1,200 cells, 1 hour on 2 cores
expect    at 12 layers Post-LN is stuck over much of the map, and warm-up shrinks what is stuck; the others train
          almost everywhere. At 6 layers only the largest learning rate tells them apart.
"""

from experiments.claims import All, Any, Claim, Fails, Greater, MoreFailures, Quantity, Trains
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx import config

WIRINGS = ("post", "pre", "deepnorm", "admin", "residual")
MAP = {"wirings": WIRINGS, "shares": [0, 0.02, 0.1, 0.5], "rates": [3e-4, 1e-3, 3e-3, 1e-2], "seeds": 5}
XIONG = "Xiong et al. 2020, arXiv 2002.04745, figure 2"
ADMIN = "Admin, Liu et al. 2020, arXiv 2004.08249"
SIZES = {
    "smoke": {"wirings": WIRINGS[:2], "depths": [6], "shares": [0, 0.5], "rates": [3e-3], "seeds": 2, "steps": 20},
    "quick": MAP | {"depths": [6, 12], "steps": 100},
    "full": MAP | {"depths": [6, 12, 24], "steps": 250},
}


def warmups(size):
    """Steps of warm-up: shares of all steps."""
    return [share * size["steps"] for share in size["shares"]]


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
    c.optim.schedule = "constant"
    c.optim.weight_decay = 0.0
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            hyper.sweep("model.wiring", size["wirings"]),
            hyper.sweep("model.num_layers", size["depths"]),
            hyper.sweep("optim.warmup_steps", warmups(size)),
            hyper.sweep("optim.learning_rate", size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {
        "rows": ("model.wiring",),
        "metric": "progress",
        "lower_is_better": False,
        "seeds": ("seed.init", "seed.data"),
        "split": ("model.num_layers",),
    }
    against = {"baseline": {"model.wiring": "pre"}}
    return [
        Table(
            **shared,
            **against,
            columns=("optim.warmup_steps",),
            nuisance=("optim.learning_rate",),
            title="Steps of warm-up, each at its best learning rate",
        ),
        Table(
            **shared,
            **against,
            columns=("optim.learning_rate",),
            only={"optim.warmup_steps": 0.0},
            title="Learning rates, without warm-up",
        ),
        *([failing(size, shared)] if len(size["rates"]) > 1 else []),
    ]


def failing(size, shared):
    """How many learning rates fail, by warm-up."""
    along = {"over": "optim.learning_rate", "fit": "count", "format": ".1f"}
    columns = (
        Column("progress", f"{steps:g} steps", {"optim.warmup_steps": steps}, **along) for steps in warmups(size)
    )
    return Table(**shared, columns_of=tuple(columns), title=f"How many of {len(size['rates'])} learning rates fail")


def at(wiring, warmup=None, rate=None, depth=12):
    """The cells of a placement; None: all that is asked of the rest."""
    asked = {"model.wiring": wiring, "optim.warmup_steps": warmup, "optim.learning_rate": rate}
    return {name: value for name, value in asked.items() if value is not None} | {"model.num_layers": depth}


def gained(wiring, rate, longest):
    """Change of the loss from no warm-up to the longest, in nats; that of a stuck run counts."""
    where = {"over": "optim.warmup_steps", "fit": "last_minus_first", "between": (0.0, longest), "stuck_counts": True}
    return Quantity("val_loss", at(wiring, rate=rate), **where)


def get_claims(size):
    def claim(name, statement, source, rule, check=(), caveat=""):
        return Claim(name, statement, source, "training", tuple(rule), tuple(check), caveat)

    def trains(wiring, warmup, rate):
        return Trains(at(wiring, warmup, rate), progress=0.05)

    def more(depth, *others, by):
        return [MoreFailures(at("post", depth=depth), at(other, depth=depth), by) for other in others]

    *_, tenth, longest = warmups(size)
    stuck, three = Fails(at("post", 0.0, 3e-3)), 3 * size["seeds"]
    rescued = (
        All((trains("post", longest, rate), Greater(gained("pre", rate, longest), gained("post", rate, longest), 0.05)))
        for rate in size["rates"]
    )
    loss = {steps: Quantity("val_loss", at("deepnorm", steps)) for steps in (0.0, tenth, longest)}
    return [
        claim(
            "XIO-4",
            "Warm-up is essential for Post-LN, and can be left out for Pre-LN",
            XIONG,
            [stuck, trains("pre", 0.0, 3e-3), Any(tuple(rescued))],
            caveat=f"12 layers; warm-up 0 against {longest:g} steps; what it gains is asked at any one learning rate.",
        ),
        claim(
            "ADM-3",
            "With warm-up Admin trains 12 layers and is no worse than Pre-LN, where Post-LN is stuck",
            ADMIN,
            [
                trains("admin", longest, 3e-3),
                Greater(*(Quantity("progress", at(wiring, longest, 3e-3)) for wiring in ("admin", "pre")), -0.02),
            ],
            check=[Fails(at("post", longest, 3e-3))],
            caveat=f"Learning rate 3e-3, {longest:g} steps of warm-up; NOT EXERCISED where these rescue Post-LN too.",
        ),
        *(
            claim(
                f"F4-{depth}",
                f"Over the map, Post-LN fails in at least 3 of 16 settings more than Pre-LN, at {depth} layers",
                ADMIN,
                more(depth, "pre", by=three),
                caveat=f"Admin's grid is over learning rate and β₂. 3 per seed are {three} cells.",
            )
            for depth in (6, 12)
        ),
        claim(
            "F4",
            "What fails at 12 layers is more for Post-LN than for each of the others",
            f"{XIONG}; {ADMIN}",
            more(12, "pre", "deepnorm", "admin", "residual", by=1),
        ),
        claim(
            "RD-4w",
            "ResiDual trains 12 layers without warm-up, where Post-LN is stuck",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802, table without warm-up",
            [trains("residual", 0.0, 3e-3)],
            check=[stuck],
            caveat="Its first update moves the output even more than that of Post-LN does: it may be REVERSED.",
        ),
        claim(
            "DN-W",
            "DeepNorm needs no warm-up: it trains 12 layers without, and loses at most 0.02 nats by it",
            "DeepNet, Wang et al. 2022, arXiv 2203.00555",
            [trains("deepnorm", 0.0, 3e-3), *(Greater(loss[w], loss[0.0], -0.02) for w in (tenth, longest))],
            caveat="Each warm-up at its best learning rate. The paper bounds its updates; its recipes do warm up.",
        ),
    ]


def get_figure(size):
    panels = tuple(
        Panel(
            "progress",
            "optim.learning_rate",
            kind="heat",
            y_field="optim.warmup_steps",
            at={"model.wiring": wiring, "model.num_layers": depth},
            title=f"{wiring}, {depth} layers",
        )
        for depth in size["depths"]
        for wiring in size["wirings"]
    )
    return Figure(panels=panels, columns=len(size["wirings"]), title="Progress by learning rate and steps of warm-up")
