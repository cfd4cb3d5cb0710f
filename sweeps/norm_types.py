"""Which norm, and is one needed at all?

paper     Do Transformer Modifications Transfer? (Narang et al. 2021, arXiv 2102.11972), table 1; RMSNorm (Zhang and
          Sennrich 2019, arXiv 1910.07467); ScaleNorm (Nguyen and Salazar 2019, arXiv 1910.05895); DyT (Zhu et al.
          2025, arXiv 2503.10622); Derf (Chen et al. 2025, arXiv 2512.10938)
command   python -m experiments.launch --config=sweeps/norm_types.py --workdir=runs/norm_types
smoke     4 cells in 4 programs, 30 seconds
quick     315 cells in 21 programs, 11 minutes on 2 cores
full      315 cells in 21 programs, 3 hours on 2 cores
arms      9 norms before the sublayer and after the addition; no norm at all, alone and with the gains of ReZero and
          with Fixup. ReZero has no place for a norm here, so the paper's two rows of ReZero with one are not run
expect    All norms within 0.02 nats, if learning rates are tuned; ReZero behind, Fixup last; no norm fails at a
          learning rate at which a norm trains. Lanes that share a machine are no place to time a step
"""

from experiments.table_spec import Table
from flax_tx import config

WIRING, KIND, BIAS, ALPHA, RATE = (
    "model.wiring",
    "model.norm.kind",
    "model.norm.bias",
    "model.norm.alpha",
    "optim.learning_rate",
)
PLACES = ["pre", "post"]
NORMS = [  # kind, bias (None: as is its custom), alpha
    ("layernorm", None, 0.5),
    ("layernorm", False, 0.5),
    ("rmsnorm", None, 0.5),
    ("prmsnorm", None, 0.5),
    ("scalenorm", None, 0.5),
    ("dyt", None, 0.2),
    ("dyt", None, 0.5),
    ("dyt", None, 1.0),
    ("derf", None, 0.5),
]
NO_NORM = ("none", None, 0.5)
TINY = {"steps": 20, "width": 16, "layers": 2, "rates": [1e-2], "seeds": 1}
QUICK = {"steps": 250, "width": 32, "layers": 6, "rates": [3e-3, 1e-2, 3e-2], "seeds": 5}
SIZES = {
    "smoke": TINY | {"norms": NORMS[:1] + NORMS[2:3], "places": ["pre"], "alone": ["rezero"]},
    "quick": QUICK | {"norms": NORMS, "places": PLACES, "alone": ["rezero", "fixup"]},
    "full": QUICK | {"steps": 2000, "width": 64, "norms": NORMS, "places": PLACES, "alone": ["rezero", "fixup"]},
}


def get_config(size):
    c = config.default()
    c.model.width = size["width"]
    c.model.num_layers = size["layers"]
    c.model.activation = "relu"
    c.model.norm.fraction = 0.125
    c.data.name = "markov2"
    c.data.vocab_size = 32
    c.data.seq_len = 24
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.diagnostics = False
    c.optim.warmup_steps = 0.05 * size["steps"]
    return c


def get_hyper(hyper, size):
    seeds = hyper.zipit([hyper.sweep(name, range(size["seeds"])) for name in ("seed.init", "seed.data")])
    norms = [(place, *norm) for place in size["places"] for norm in size["norms"]]
    without = [(wiring, *NO_NORM) for wiring in ("pre", *size["alone"])]
    arms = [dict(zip((WIRING, KIND, BIAS, ALPHA), arm, strict=True)) for arm in norms + without]
    return hyper.product([arms, hyper.sweep(RATE, size["rates"]), seeds])


def get_table():
    return Table(
        rows=(KIND, BIAS, ALPHA),
        columns=(WIRING,),
        metric="val_loss",
        nuisance=(RATE,),
        seeds=("seed.init", "seed.data"),
        baseline={KIND: "layernorm", BIAS: None, ALPHA: 0.5},
        title="Which norm, and is one needed at all?",
    )
