"""Which ways of adding and normalising make use of the deep layers?

paper     The Curse of Depth (Sun et al. 2025, arXiv 2502.05795), table 1 and its measures of layers, in miniature;
          Mix-LN (Li et al. 2024, arXiv 2412.13795); Attention Residuals (Kimi Team 2026, arXiv 2603.15031)
command   python -m experiments.launch --config=sweeps/deep_layers.py --workdir=runs/deep_layers
smoke     4 cells in 2 programs, 30 seconds
quick     80 cells in 8 programs, without Attention Residuals, 14 minutes on 2 cores that had other work too
full      270 cells in 9 programs, 7 hours on 2 cores
setting   24 layers of width 32 read bytes of the King James Bible, RMSNorm as in the papers; the same kernels to start
          with (Xavier), but for DeepNorm, which has its own, and for Pre-LN with the writers times 1/√S as in GPT-2
measured  after training each layer is deleted alone, and the loss that this costs is taken; the angle between what
          goes into a layer and what comes out, in units of π
expect    Every wiring lives on its first layers and the deeper half costs thousandths of a nat; LayerNorm Scaling,
          which was to cure that, has still smaller angles and losses there at this size. Post-LN is stuck
"""

from experiments.claims import Above, Any, Below, Claim, Fails, Greater, Quantity, Trains
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

WIRING, INIT, RATE = "model.wiring", "model.init", "optim.learning_rate"
ARMS = {  # (wiring, init) -> how the wiring reads
    ("pre", None): "Pre-LN",
    ("pre", "gpt2"): "Pre-LN",
    ("layernorm-scaling", None): "LayerNorm Scaling",
    ("mix-ln", None): "Mix-LN",
    ("sandwich", None): "Peri-LN",
    ("hybridnorm-star", None): "HybridNorm*",
    ("post", None): "Post-LN",
    ("deepnorm", None): "DeepNorm",
    ("attention-residuals", None): "Attention Residuals",
}
QUICK = list(ARMS)[:-1]  # attention residuals over 48 sublayers take a minute a cell
SMOKE = [("pre", None), ("layernorm-scaling", None)]
SIZES = {
    "smoke": {"arms": SMOKE, "width": 16, "depth": 4, "steps": 20, "windows": 16, "rates": [4e-3], "seeds": 2},
    "quick": {
        "arms": QUICK,
        "width": 32,
        "depth": 24,
        "steps": 250,
        "windows": 64,
        "rates": [4e-3, 1.5e-2],
        "seeds": 5,
    },
    "full": {
        **{"arms": ARMS, "width": 64, "depth": 24, "steps": 2000, "windows": 256},
        **{"rates": [1e-3, 3e-3, 1e-2], "seeds": 10},
    },
}
LABELS = {None: "its own", "gpt2": "GPT-2"} | {wiring: label for (wiring, _), label in ARMS.items()}
LNS = "The Curse of Depth, Sun et al. 2025, arXiv 2502.05795"
PAPER = Paper(
    title="Validation perplexity of LLaMA models after pre-training",
    source=f"{LNS}, table 1",
    spanners=(("LLaMA", ("130M", "250M", "350M", "1B")),),
    rows={
        "post": ("26.95", "1409.79", "1368.33", "1390.75"),
        "deepnorm": ("27.17", "22.77", "1362.59", "1409.08"),
        "mix-ln": ("26.07", "21.39", "1363.21", "1414.78"),
        "pre": ("26.73", "21.92", "19.58", "17.02"),
        "layernorm-scaling": ("25.76", "20.35", "18.20", "15.71"),
    },
    note="2.2, 3.9, 6.0 and 8.9 billion tokens; a perplexity near 1400 is a model that never left the unigrams",
)


def get_config(size):
    c = config.default()
    c.model.width = size["width"]
    c.model.num_layers = size["depth"]
    c.model.num_heads = 4
    c.model.norm.kind = "rmsnorm"
    c.model.init_sd = size["width"] ** -0.5
    c.model.unroll = 1
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.eval_windows = size["windows"]
    c.optim.warmup_steps = size["steps"] / 10
    c.probe.start = True
    c.probe.layers = True
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            [{WIRING: wiring, INIT: init} for wiring, init in size["arms"]],
            hyper.sweep(RATE, size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {"seeds": ("seed.init", "seed.data"), "labels": LABELS}
    columns = (
        Column("val_loss", "loss"),
        Column("layer_loss_deep", "deleting a layer of the deeper half"),
        Column("effective_depth", "layers that cost over 5 %"),
        Column("angle_deep", "angle in the last third"),
        Column("stream_growth_end", "V_S/V_0"),
        Column("grad_cv_end", "gradient, SD/mean over layers"),
    )
    arms = {"rows": (WIRING, INIT), "columns_of": columns, "baseline": {WIRING: "pre", INIT: None}}
    depth, rate = size["depth"], size["rates"][0]
    return [
        Table(**arms, **shared, nuisance=(RATE,), title=f"Who uses the deep ones of {depth} layers?"),
        Table(**arms, **shared, only={RATE: rate}, title=f"The same, all at learning rate {rate:g}"),
        Table(
            rows=(WIRING,),
            only={INIT: None},
            nuisance=(RATE,),
            baseline={WIRING: "pre"},
            paper=PAPER,
            title=f"Validation loss of {depth} layers beside the published perplexities",
            **shared,
        ),
    ]


def get_figure():
    return Figure(
        panels=(
            Panel("layer_loss", title="loss of deleting one layer"),
            Panel("angle", log_y=True, title="angle between a layer's input and output, in π"),
            Panel("stream", log_y=True, title="stream before training"),
        ),
        lines=(WIRING, INIT),
        title="Who uses the deep layers?",
    )


def arm(wiring):
    """The cells of a wiring with its own initial kernels."""
    return {WIRING: wiring, INIT: None}


def of(metric, wiring):
    """A metric of a wiring at its best learning rate."""
    return Quantity(metric, arm(wiring))


def get_claims():
    both = (Trains(arm("pre")), Trains(arm("layernorm-scaling")))
    size = "24 layers, as the paper's 1B model, but a width of 32 and 0.1 million tokens"
    return [
        Claim(
            "LNS-3",
            "trained layers of the last third turn the stream further under LayerNorm Scaling than 1.2 times Pre-LN's",
            LNS,
            "training",
            rule=(Greater(of("angle_deep", "layernorm-scaling"), of("angle_deep", "pre"), 1.2, ratio=True),),
            check=both,
            caveat=f"{size}; before training its angles are smaller than Pre-LN's, and REVERSED is expected of so "
            "short a training",
        ),
        Claim(
            "LNS-4a",
            "deleting one layer of the deeper half costs more under LayerNorm Scaling than under Pre-LN",
            LNS,
            "training",
            rule=(Greater(of("layer_loss_deep", "layernorm-scaling"), of("layer_loss_deep", "pre")),),
            check=both,
            caveat=f"{size}; REVERSED is expected of so short a training",
        ),
        Claim(
            "LNS-4b",
            "LayerNorm Scaling ends at least 0.01 nats below Pre-LN at 24 layers",
            f"{LNS}, table 1",
            "training",
            rule=(Greater(of("val_loss", "pre"), of("val_loss", "layernorm-scaling"), 0.01),),
            check=both,
            caveat=f"{size}; INCONCLUSIVE or worse is expected of a few hundred steps",
        ),
        Claim(
            "MIX-3",
            "Mix-LN ends at least 0.01 nats below both Pre-LN and Post-LN, or below Pre-LN where Post-LN fails",
            "Mix-LN, Li et al. 2024, arXiv 2412.13795",
            "training",
            rule=(
                Greater(of("val_loss", "pre"), of("val_loss", "mix-ln"), 0.01),
                Any((Greater(of("val_loss", "post"), of("val_loss", "mix-ln"), 0.01), Fails(arm("post")))),
            ),
            check=(Trains(arm("pre")),),
            caveat="the registered depth is 12, here it is 24; Mix-LN inherits the fragility of its Post-LN layers",
        ),
        Claim(
            "AR-2",
            "the largest RMS of the stream stays below 3 times its first under Attention Residuals, and not under "
            "Pre-LN, after training at 24 layers",
            "Attention Residuals, Kimi Team 2026, arXiv 2603.15031",
            "training",
            rule=(Below(of("stream_peak", "attention-residuals"), 3.0), Above(of("stream_peak", "pre"), 3.0)),
            check=(Trains(arm("attention-residuals")), Trains(arm("pre"))),
            caveat="the stream of Attention Residuals is what its sublayers read, a mean over all outputs before",
        ),
        Claim(
            "HN-2",
            "HybridNorm* ends at least 0.01 nats below Pre-LN",
            "HybridNorm, Zhuo et al. 2025, arXiv 2503.04598",
            "training",
            rule=(Greater(of("val_loss", "pre"), of("val_loss", "hybridnorm-star"), 0.01),),
            check=(Trains(arm("pre")),),
            caveat="the registered depth is 12, here it is 24; both start from Xavier kernels, not from Megatron's",
        ),
    ]
