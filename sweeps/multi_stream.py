"""Is more than one residual stream, or a longer memory, worth it?

paper     Attention Residuals (Kimi Team 2026, arXiv 2603.15031), its ablation; Hyper-Connections (Zhu et al. 2024,
          arXiv 2409.19606); mHC (Xie et al. 2025, arXiv 2512.24880); DenseFormer, DLCL, ResFormer, ResiDual, Siamese
command   python -m experiments.launch --config=sweeps/multi_stream.py --workdir=runs/multi_stream
smoke     6 cells in 3 programs, 30 seconds
quick     140 cells in 14 programs, an estimated 12 minutes on 2 cores
full      420 cells in 14 programs, 10 hours on 2 cores
setting   12 layers (full: 24) of width 32 (full: 64) read bytes of the King James Bible, RMSNorm, Xavier kernels
expect    Differences of hundredths of a nat; the published ones are of 1 or 2 % at a million times the work. Most
          verdicts should be INCONCLUSIVE. Post-LN and HybridNorm are there to show what SiameseNorm repairs: stuck
"""

from experiments.claims import Claim, Equivalent, Fails, Greater, Quantity, Trains
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

WIRING, VALUES, STREAMS = "model.wiring", "model.value_residual", "model.num_streams"
RATE = "optim.learning_rate"
DEFAULT = {VALUES: "none", STREAMS: 4}
WIRINGS = {  # name -> (family, how it reads)
    "pre": ("one stream", "Pre-LN"),
    "post": ("one stream", "Post-LN"),
    "hybridnorm": ("one stream", "HybridNorm"),
    "residual": ("two streams", "ResiDual"),
    "siamese": ("two streams", "SiameseNorm"),
    "hyper-connections": ("n streams", "Hyper-Connections"),
    "dynamic-hyper-connections": ("n streams", "dynamic Hyper-Connections"),
    "mhc": ("n streams", "mHC"),
    "dlcl": ("memory", "DLCL"),
    "denseformer": ("memory", "DenseFormer"),
    "block-attention-residuals": ("memory", "Attention Residuals, blocks"),
    "attention-residuals": ("memory", "Attention Residuals, full"),
}
VARIANTS = [{WIRING: "pre", VALUES: "half"}, {WIRING: "dynamic-hyper-connections", STREAMS: 1}]
ARMS = [DEFAULT | changes for changes in [*({WIRING: name} for name in WIRINGS), *VARIANTS]]
SIZES = {
    "smoke": {
        **{"arms": [ARMS[0], ARMS[6], ARMS[11]], "rates": [8e-3], "seeds": 2},
        **{"width": 16, "layers": 2, "steps": 20},
    },
    "quick": {
        **{"arms": ARMS, "rates": [8e-3, 2e-2], "seeds": 5},
        **{"width": 32, "layers": 12, "steps": 300},
    },
    "full": {
        **{"arms": ARMS, "rates": [3e-3, 8e-3, 2e-2], "seeds": 10},
        **{"width": 64, "layers": 24, "steps": 1000},
    },
}
LABELS = {name: label for name, (_, label) in WIRINGS.items()} | {"none": "no", "half": "½V₁ + ½V_l"}
KIMI = "Attention Residuals, Kimi Team 2026, arXiv 2603.15031"
HYPER = "Hyper-Connections, Zhu et al. 2024, arXiv 2409.19606"
PAPER = Paper(
    title="Validation losses of two ablations, and an average of downstream tasks",
    source=f"{KIMI}, ablation of 16 heads; {HYPER}, OLMo-1B after 500 billion tokens",
    spanners=(("Kimi", ("loss",)), ("OLMo-1B", ("loss, V2", "loss, V3", "tasks"))),
    rows={
        "pre": ("1.766", "2.811", "2.544", "62.5"),
        "denseformer": ("1.767", "", "", ""),
        "mhc": ("1.747", "", "", ""),
        "block-attention-residuals": ("1.746", "", "", ""),
        "attention-residuals": ("1.737", "", "", ""),
        "hyper-connections": ("", "2.791", "", ""),
        "dynamic-hyper-connections": ("", "2.781", "2.514", "63.8"),
    },
    extra_rows=(
        ("dynamic Hyper-Connections, n = 1", "n streams", ("", "2.819", "2.556", "62.3")),
        ("dynamic Hyper-Connections, n = 2", "n streams", ("", "2.802", "2.534", "63.0")),
        ("dynamic Hyper-Connections, n = 8", "n streams", ("", "2.778", "2.516", "62.8")),
    ),
)


def get_config(size):
    c = config.default()
    c.model.width = size["width"]
    c.model.num_layers = size["layers"]
    c.model.num_heads = 4
    c.model.norm.kind = "rmsnorm"
    c.model.unroll = 1
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.optim.warmup_steps = size["steps"] / 20
    return c


def get_hyper(hyper, size):
    return hyper.product(
        [
            size["arms"],
            hyper.sweep(RATE, size["rates"]),
            hyper.seeds(size["seeds"]),
        ]
    )


def get_table(size):
    shared = {"nuisance": (RATE,), "seeds": ("seed.init", "seed.data"), "labels": LABELS}
    families = {name: family for name, (family, _) in WIRINGS.items()}
    columns = (
        Column("val_loss", "loss"),
        Column("params", "parameters"),
        Column("flops_per_step", "FLOPs per step"),
        Column("stream_peak", "largest stream"),
    )
    tables = [
        Table(
            rows=(WIRING, VALUES),
            columns_of=columns,
            only={STREAMS: 4},
            baseline={WIRING: "pre", VALUES: "none"},
            groups=families,
            title=f"{size['layers']} layers with one stream, several, or a memory of all",
            **shared,
        ),
        Table(
            rows=(WIRING,),
            only={STREAMS: 4, VALUES: "none"},
            baseline={WIRING: "pre"},
            groups=families,
            paper=PAPER,
            title="Validation loss beside published ones",
            **shared,
        ),
    ]
    numbers = Table(
        rows=(STREAMS,),
        only={WIRING: "dynamic-hyper-connections", VALUES: "none"},
        title="How many streams of dynamic Hyper-Connections?",
        **shared,
    )
    return [*tables, numbers] if VARIANTS[1][STREAMS] in [arm[STREAMS] for arm in size["arms"]] else tables


def get_figure():
    return Figure(
        panels=(
            Panel("val_loss", x=RATE, log_x=True, at=DEFAULT, title="validation loss"),
            Panel("stream_peak", x=RATE, log_x=True, log_y=True, at=DEFAULT, title="largest stream RMS, of x₁"),
        ),
        lines=(WIRING,),
        columns=2,
        title="More than one stream, or a memory",
    )


def arm(wiring, **more):
    """The cells of a wiring."""
    return DEFAULT | {WIRING: wiring} | more


def lower(name, margin, than="pre", **more):
    """An arm's loss is lower than another's by more than a margin, both at their best learning rates."""
    return Greater(Quantity("val_loss", arm(than)), Quantity("val_loss", arm(name) | more), margin)


def get_claims():
    trains = (Trains(arm("pre")),)
    small = "12 layers in size quick, 24 in full; 0.15 million tokens in size quick; INCONCLUSIVE is expected"
    high = {RATE: SIZES["quick"]["rates"][-1]}
    single = Quantity("val_loss", arm("dynamic-hyper-connections") | {STREAMS: 1})
    equal = Equivalent(Quantity("val_loss", arm("denseformer")), Quantity("val_loss", arm("pre")), 0.01)
    return [
        Claim(
            "AR-3",
            "Attention Residuals end more than 0.01 nats below Pre-LN, DenseFormer within 0.01 of it",
            f"{KIMI}, ablation table",
            "training",
            rule=(lower("attention-residuals", 0.01), equal),
            check=trains,
            caveat=f"{small}; the margin of the equivalence is ours",
        ),
        Claim(
            "HC-4",
            "4 streams of dynamic Hyper-Connections end more than 0.01 nats below Pre-LN, and 1 stream above it",
            f"{HYPER}, table of OLMo-1B",
            "training",
            rule=(
                lower("dynamic-hyper-connections", 0.01),
                Greater(single, Quantity("val_loss", arm("pre")), 0.0),
            ),
            check=trains,
            caveat=small,
        ),
        Claim(
            "VR-2",
            "with half of the first layer's values in all others, Pre-LN ends at least 0.01 nats lower",
            "ResFormer, Zhou et al. 2024, arXiv 2410.17897",
            "training",
            rule=(lower("pre", 0.01, **{VALUES: "half"}),),
            check=trains,
            caveat=small,
        ),
        Claim(
            "DLCL-3",
            "DLCL ends more than 0.02 nats below Pre-LN",
            "DLCL, Wang et al. 2019, arXiv 1906.01787",
            "training",
            rule=(lower("dlcl", 0.02),),
            check=trains,
            caveat=f"{small}; the Kimi Team finds no gain of DenseFormer, which is close to it",
        ),
        Claim(
            "SI-2",
            "SiameseNorm trains at a learning rate at which Post-LN and HybridNorm do not",
            "SiameseNorm, 2026, arXiv 2602.08064, results at learning rate 1e-3",
            "training",
            rule=(Trains(arm("siamese") | high),),
            check=(Fails(arm("post") | high), Fails(arm("hybridnorm") | high)),
            caveat="small models of Post-LN and HybridNorm are stuck, where the published ones diverge",
        ),
    ]
