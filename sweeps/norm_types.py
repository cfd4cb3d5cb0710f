"""Which norm, and is one needed at all?

paper     Do Transformer Modifications Transfer? (Narang et al. 2021, arXiv 2102.11972), table 1; RMSNorm (Zhang and
          Sennrich 2019, arXiv 1910.07467); ScaleNorm (Nguyen and Salazar 2019, arXiv 1910.05895); DyT (Zhu et al.
          2025, arXiv 2503.10622); Derf (Chen et al. 2025, arXiv 2512.10938)
command   python -m experiments.launch --config=sweeps/norm_types.py --workdir=runs/norm_types
smoke     3 cells in 3 programs, 20 seconds
quick     315 cells in 21 programs, 5 minutes on 2 cores that had other work too
full      315 cells in 21 programs, 3 hours on 2 cores
arms      9 norms before the sublayer and after the addition; no norm at all, alone and with the gains of ReZero and
          with Fixup. ReZero has no place for a norm here, so the paper's two rows of ReZero with one are not run
expect    All norms within 0.02 nats, if learning rates are tuned; ReZero behind, Fixup last; no norm fails at a
          learning rate at which a norm trains. Lanes that share a machine are no place to time a step
"""

from experiments.claims import All, Any, Claim, Equivalent, Fails, Greater, Order, Quantity, Trains
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
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
RMSNORM = "RMSNorm, Zhang & Sennrich 2019, arXiv 1910.07467"
NARANG = Paper(
    title="Do Transformer Modifications Transfer?, table 1: T5 base, pre-training on C4",
    source="Narang et al. 2021, arXiv 2102.11972",
    spanners=(("223 M parameters", ("early loss", "final loss", "steps/s")),),
    rows={"layernorm": ("2.182", "1.838", "3.50"), "rmsnorm": ("2.167", "1.821", "3.68")},
    extra_rows=(
        ("ReZero", "", ("2.262", "1.939", "3.51")),
        ("ReZero + LayerNorm", "", ("2.223", "1.858", "3.26")),
        ("ReZero + RMSNorm", "", ("2.221", "1.875", "3.34")),
        ("Fixup", "", ("2.382", "2.067", "2.95")),
    ),
    note="the first row is their vanilla transformer, Pre-LN with LayerNorm",
)
SIZES = {
    "smoke": TINY | {"norms": NORMS[:1] + NORMS[2:3], "places": ["pre"], "alone": []},
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
    c.data.vocab_size = 8
    c.data.seq_len = 24
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.diagnostics = False
    c.optim.warmup_steps = 0.05 * size["steps"]
    return c


def get_hyper(hyper, size):
    seeds = hyper.seeds(size["seeds"])
    norms = [(place, *norm) for place in size["places"] for norm in size["norms"]]
    without = [(wiring, *NO_NORM) for wiring in ("pre", *size["alone"])]
    arms = [dict(zip((WIRING, KIND, BIAS, ALPHA), arm, strict=True)) for arm in norms + without]
    return hyper.product([arms, hyper.sweep(RATE, size["rates"]), seeds])


def get_table():
    common = {"nuisance": (RATE,), "seeds": ("seed.init", "seed.data")}
    columns = tuple(map(Column, ("early_loss", "val_loss", "tokens_per_second", "params")))
    layernorm, title = {KIND: "layernorm", BIAS: None, ALPHA: 0.5}, "Which norm, and is one needed at all?"
    narang = {WIRING: "pre", BIAS: None, ALPHA: 0.5}
    return [
        Table(rows=(KIND, BIAS, ALPHA), columns=(WIRING,), baseline=layernorm, title=title, **common),
        Table(rows=(WIRING, KIND, BIAS, ALPHA), columns_of=columns, title="Early and final loss, and speed", **common),
        Table(rows=(KIND,), columns_of=columns, only=narang, paper=NARANG, title="Pre-LN, by its norm", **common),
    ]


def get_figure():
    return Figure(
        panels=tuple(Panel("val_loss", x=RATE, log_x=True, title=place, at={WIRING: place}) for place in PLACES),
        lines=(KIND, BIAS, ALPHA),
        title="Norms and learning rates",
        columns=2,
    )


def get_claims():
    narang = "Narang et al. 2021, arXiv 2102.11972, table 1"

    def at(kind, bias=None, alpha=0.5, wiring="pre"):
        return {WIRING: wiring, KIND: kind, BIAS: bias, ALPHA: alpha}

    def loss(*arm, **more):
        return Quantity("val_loss", at(*arm, **more))

    layernorm, rmsnorm, rezero, fixup = (
        loss(*arm) for arm in (("layernorm",), ("rmsnorm",), (*NO_NORM, "rezero"), (*NO_NORM, "fixup"))
    )
    dyt = {alpha: loss("dyt", alpha=alpha) for alpha in (0.2, 0.5, 1.0)}
    at_rates = [{RATE: rate} for rate in QUICK["rates"]]
    fails_alone = (All((Fails(at(*NO_NORM) | rate), Trains(at("layernorm") | rate))) for rate in at_rates)
    speed = [Quantity("tokens_per_second", at(kind)) for kind in ("layernorm", "rmsnorm")]
    return [
        Claim(
            "RMS-2",
            "RMSNorm and LayerNorm differ by less than 0.02 nats",
            RMSNORM,
            "training",
            rule=(Equivalent(rmsnorm, layernorm, 0.02),),
            check=(Trains(at("layernorm")),),
        ),
        Claim(
            "RMS-3",
            "a step with RMSNorm takes at most 1.02 times as long as one with LayerNorm",
            RMSNORM,
            "training",
            rule=(Greater(speed[1], speed[0], 1 / 1.02, ratio=True),),
            caveat="expected to be INCONCLUSIVE: whole steps, timed on cores that other lanes and programs share",
        ),
        Claim(
            "NS-4",
            "ScaleNorm and LayerNorm differ by less than 0.02 nats",
            "Transformers without Tears, Nguyen & Salazar 2019, arXiv 1910.05895",
            "training",
            rule=(Equivalent(loss("scalenorm"), layernorm, 0.02),),
            check=(Trains(at("layernorm")),),
        ),
        Claim(
            "DYT-2",
            "DyT, at the best of three initial alphas, is within 0.05 nats of RMSNorm",
            "Dynamic Tanh, Zhu et al. 2025, arXiv 2503.10622",
            "training",
            rule=(Any(tuple(Equivalent(each, rmsnorm, 0.05) for each in dyt.values())),),
            check=(Trains(at("rmsnorm")),),
            caveat="one alpha within is enough; alpha is not tuned again for more seeds",
        ),
        Claim(
            "DERF-1",
            "Derf is at most 0.01 nats worse than DyT",
            "Derf, Chen et al. 2025, arXiv 2512.10938",
            "training",
            rule=(Greater(dyt[0.5], loss("derf"), -0.01),),
            caveat="both from alpha 0.5",
        ),
        Claim(
            "NAR-1",
            "from the least loss to the largest: RMSNorm, LayerNorm, ReZero, Fixup; Fixup is the worst",
            narang,
            "training",
            rule=(
                Order((rmsnorm, layernorm, rezero, fixup)),
                *(Greater(fixup, each) for each in (rmsnorm, layernorm, rezero)),
            ),
            caveat="without ReZero + LayerNorm and ReZero + RMSNorm; learning rates are tuned, the paper's are not",
        ),
        Claim(
            "LN-3",
            "without a norm the loss is over 0.05 nats larger, or a learning rate fails at which LayerNorm trains",
            "Layer Normalization, Ba et al. 2016, arXiv 1607.06450",
            "training",
            rule=(Any((Greater(loss(*NO_NORM), layernorm, 0.05), *fails_alone)),),
            caveat="the paper has no transformer; three learning rates",
        ),
    ]
