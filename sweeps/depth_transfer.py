"""Does the learning rate that is tuned on a shallow model still fit a deep one?

paper     CompleteP (Dey et al. 2025, arXiv 2505.01618), figure 1, in miniature; Depth-muP (Yang et al. 2023, arXiv
          2310.02244; Bordelon et al. 2023, arXiv 2309.16620)
command   python -m experiments.launch --config=sweeps/depth_transfer.py --workdir=runs/depth_transfer
smoke     12 cells in 4 programs, 40 seconds
quick     216 cells in 12 programs, an estimated 12 minutes on 2 cores
full      540 cells in 15 programs, 12 hours on 2 cores
setting   Pre-LN with the branch times (L/3)^-α: α = 0 is the standard parametrisation, 1/2 depth-muP (its learning rate
          in the blocks times (L/3)^-1/2), 1 CompleteP. At 3 layers all are the same model
expect    The best learning rate of the standard parametrisation falls with depth, that of CompleteP stays
"""

from experiments.claims import Claim, Drift, Greater, LessDrift, Quantity, Same, Trains
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx import config

WIRING, DEPTH, RATE = "model.wiring", "model.num_layers", "optim.learning_rate"
BASE = 3
SIZES = {
    "smoke": {
        "wirings": ["pre", "completep"],
        "depths": [BASE, 6],
        "rates": [4e-3, 1.6e-2, 6.4e-2],
        "seeds": 1,
        "width": 16,
        "steps": 30,
    },
    "quick": {
        "wirings": ["pre", "depth-mup", "completep"],
        "depths": [BASE, 6, 12, 24],
        "rates": [4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2, 1.28e-1],
        "seeds": 3,
        "width": 32,
        "steps": 300,
    },
    "full": {
        "wirings": ["pre", "depth-mup", "completep"],
        "depths": [BASE, 6, 12, 24, 48],
        "rates": [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2, 1.28e-1],
        "seeds": 4,
        "width": 64,
        "steps": 1000,
    },
}
LABELS = {"pre": "standard (α = 0)", "depth-mup": "depth-muP (α = 1/2)", "completep": "CompleteP (α = 1)"}
COMPLETEP = "CompleteP, Dey et al. 2025, arXiv 2505.01618"


def get_config(size):
    c = config.default()
    c.model.width = size["width"]
    c.model.num_heads = 4
    c.model.base_layers = BASE
    c.model.unroll = 1
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.optim.warmup_steps = size["steps"] / 20
    c.optim.beta2 = 0.95
    c.probe.start = True
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            hyper.sweep(WIRING, size["wirings"]),
            hyper.sweep(DEPTH, size["depths"]),
            hyper.sweep(RATE, size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {"seeds": ("seed.init", "seed.data"), "labels": LABELS}
    best = tuple(
        Column("bounded_loss", f"{depth} layers", at={DEPTH: depth}, over=RATE, fit="argmin", format=".3g")
        for depth in size["depths"]
    )
    return [
        Table(
            rows=(WIRING,),
            columns=(DEPTH,),
            nuisance=(RATE,),
            baseline={WIRING: "pre"},
            title="Validation loss, the learning rate retuned at every depth",
            **shared,
        ),
        Table(rows=(WIRING,), columns_of=best, title="The best learning rate by depth, per seed", **shared),
        Table(rows=(WIRING, DEPTH), columns=(RATE,), title="Validation loss by learning rate", **shared),
    ]


def get_figure():
    return Figure(
        panels=tuple(Panel("val_loss", x=RATE, log_x=True, at={WIRING: name}, title=LABELS[name]) for name in LABELS),
        lines=(DEPTH,),
        title="Does the learning rate of 3 layers fit 24?",
    )


def get_claims():
    deep = {
        name: Quantity("bounded_loss", {WIRING: name, DEPTH: 24}, tuned_at={DEPTH: BASE})
        for name in ("pre", "completep")
    }
    return [
        Claim(
            "CP-0",
            "at the base depth CompleteP and depth-muP are the standard parametrisation",
            f"{COMPLETEP}, table 1",
            "exact",
            rule=tuple(
                Same({WIRING: "pre", DEPTH: BASE}, {WIRING: name, DEPTH: BASE}, tolerance=1e-5)
                for name in ("completep", "depth-mup")
            ),
            caveat="of the logits before training; the trained losses differ by nothing but rounding either",
        ),
        Claim(
            "CP-3",
            "from 3 to 24 layers the best learning rate of CompleteP moves by at most a factor of 2, and by a factor "
            "of 2 less than that of the standard parametrisation",
            f"{COMPLETEP}, figure 1",
            "training",
            rule=(
                Drift({WIRING: "completep"}, over=DEPTH, bound=1.0),
                LessDrift({WIRING: "completep"}, {WIRING: "pre"}, over=DEPTH, by=1.0),
            ),
            caveat="the grid has factors of 2, so an optimum is known to a factor of √2 at best; Xavier kernels, "
            "AdamW, and a width that stays",
        ),
        Claim(
            "CP-4",
            "at 24 layers, with the learning rate tuned at 3, CompleteP ends at least 0.02 nats below the standard "
            "parametrisation",
            f"{COMPLETEP}, figure 1",
            "training",
            rule=(Greater(deep["pre"], deep["completep"], 0.02),),
            check=(Trains({WIRING: "pre", DEPTH: BASE}), Trains({WIRING: "completep", DEPTH: BASE})),
            caveat="a seed that is stuck counts with its loss, one that diverged with that before training; 3 seeds in "
            "size quick",
        ),
    ]
