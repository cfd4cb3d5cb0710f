"""Which placements still train when the stack gets deep, at one learning rate and each at its best?

paper     DeepNet (Wang et al. 2022, arXiv 2203.00555), table 1, in miniature: rows by family of placement, depths as
          columns; constant learning rate from the first step, no warm-up
command   python -m experiments.launch --config=sweeps/deepnet_depth.py --workdir=runs/deepnet_depth [--size=NAME]
smoke     8 cells, 4 programs: the machinery, no verdict
quick     15 placements x 3 depths x 2 learning rates x 5 seeds = 450 cells, 12 minutes on 2 cores
full      25 placements x 5 depths x 3 learning rates x 5 seeds = 1,875 cells, 5 hours on 2 cores
expect    Post-LN is stuck at the unigram entropy from 12 layers on, though not at 6; DeepNorm, KEEL, Pre-LN and its
          kin and ReZero train at every depth. Admin is made for warm-up (sweeps/warmup.py) and has none here.
"""

from experiments.claims import Any, Claim, Fails, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

POST, PRE, NO_NORM = "Post-LN family", "Pre-LN family", "no norm"
FAMILIES = {
    **dict.fromkeys(("post", "admin", "b2t", "residual", "deepnorm", "deepnorm-glm", "keel"), POST),
    **dict.fromkeys(("pre", "normformer", "sub-ln", "sandwich", "branch", "layernorm-scaling", "layerscale"), PRE),
    **dict.fromkeys(("dlcl", "mix-ln", "hybridnorm-star"), PRE),
    **dict.fromkeys(("rezero", "fixup", "none"), NO_NORM),
}
QUICK = (
    ("post", None),
    ("post", "small"),
    ("admin", None),
    ("b2t", None),
    ("residual", None),
    ("deepnorm", None),
    ("keel", None),
    ("pre", None),
    ("normformer", None),
    ("sub-ln", None),
    ("sandwich", None),
    ("branch", None),
    ("rezero", None),
    ("none", "t-fixup"),
    ("none", None),
)
MORE = (
    ("post", "ds-init"),
    ("deepnorm-glm", None),
    ("pre", "gpt2"),
    ("dlcl", None),
    ("layernorm-scaling", None),
    ("layerscale", None),
    ("mix-ln", None),
    ("hybridnorm-star", None),
    ("fixup", None),
    ("sandwich", "gpt2"),
)
SIZES = {
    "smoke": {"rows": (("post", None), ("pre", None)), "depths": [2, 6], "rates": [3e-3], "seeds": 2, "steps": 20},
    "quick": {"rows": QUICK, "depths": [6, 12, 24], "rates": [1e-3, 3e-3], "seeds": 5, "steps": 100},
    "full": {"rows": QUICK + MORE, "depths": [3, 6, 12, 24, 48], "rates": [1e-3, 3e-3, 1e-2], "seeds": 5, "steps": 250},
}
SAME = 3e-3  # the learning rate of the same-rate table


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
    seeds = range(size["seeds"])
    return hyper.product(
        [
            [{"model.wiring": wiring, "model.init": init} for wiring, init in size["rows"]],
            hyper.sweep("model.num_layers", size["depths"]),
            hyper.sweep("optim.learning_rate", size["rates"]),
            hyper.zipit([hyper.sweep("seed.init", seeds), hyper.sweep("seed.data", seeds)]),
        ]
    )


def get_table(size):
    shared = {
        "rows": ("model.wiring", "model.init"),
        "columns": ("model.num_layers",),
        "metric": "progress",
        "lower_is_better": False,
        "seeds": ("seed.init", "seed.data"),
        "baseline": {"model.wiring": "pre", "model.init": None},
        "groups": {name: FAMILIES[name] for name in FAMILIES if name in dict(size["rows"])},
        "labels": {depth: f"{depth}L" for depth in size["depths"]},
    }
    best = Table(**shared, nuisance=("optim.learning_rate",), title="Depth, each at its best learning rate")
    return [best, Table(**shared, only={"optim.learning_rate": SAME}, title=f"Depth, all at learning rate {SAME:g}")]
