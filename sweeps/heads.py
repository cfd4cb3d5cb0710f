"""How many heads, at fixed width (more are narrower) and at fixed head width (more are more parameters)?

paper     Attention Is All You Need (Vaswani et al. 2017, arXiv 1706.03762), table 3 rows A; Low-Rank Bottleneck
          (Bhojanapalli et al. 2020, arXiv 2002.07028); Are Sixteen Heads Really Better than One? (Michel et al. 2019,
          arXiv 1905.10650)
command   python -m experiments.launch --config=sweeps/heads.py --workdir=runs/heads
smoke     4 cells in 4 programs, 30 seconds
quick     170 cells in 12 programs, 14 minutes on 2 cores that had other work too
full      265 cells in 14 programs, 40 minutes on 2 cores
task      lookups: the next token is a function of the tokens two and three places back, which must be found at once
          and told apart. Of the entropy, progress is 0 at the unigrams and 1 at the best possible model
expect    four heads do best; one may miss it, and from eight on narrower heads learn less, 64 of one channel hardly
          anything; with 16 channels each, more heads are better
beside    sweeps/heads_on_text.py asks the same of text
"""

from experiments.claims import Above, Below, Claim, Every, Greater, Quantity
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from flax_tx import config

HEADS, HEAD_DIM, RATE, PROBED = "model.num_heads", "model.head_dim", "optim.learning_rate", "probe.heads"
VASWANI = "Attention Is All You Need, Vaswani et al. 2017, arXiv 1706.03762"
PUBLISHED = Paper(
    title="table 3 rows A: newstest2013, English to German, 512 channels",
    source=VASWANI,
    spanners=(("base model", ("perplexity", "BLEU")),),
    rows={
        1: ("5.29", "24.9"),
        4: ("5.00", "25.5"),
        8: ("4.92", "25.8"),
        16: ("4.91", "25.8"),
        32: ("5.01", "25.4"),
    },
)
SIZES = {
    "smoke": {"heads": [1, 4], "of_16": [4], "rates": [1e-2], "seeds": 1, "steps": 20},
    "quick": {
        "heads": [1, 2, 4, 8, 16, 32, 64],
        "of_16": [1, 2, 4, 8],
        "rates": [2.5e-3, 5e-3, 1e-2],
        "seeds": 5,
        "steps": 600,
    },
    "full": {
        "heads": [1, 2, 4, 8, 16, 32, 64],
        "of_16": [1, 2, 4, 8, 16, 32],
        "rates": [2.5e-3, 5e-3, 1e-2, 2e-2],
        "seeds": 5,
        "steps": 1200,
    },
}


def get_config(size):
    c = config.default()
    c.model.width = 64
    c.model.num_layers = 2
    c.data.name = "lookups"
    c.data.vocab_size = 8
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.diagnostics = False
    c.optim.warmup_steps = 0.05 * size["steps"]
    return c


def get_hyper(hyper, size):
    seeds = hyper.seeds(size["seeds"])
    at_width = hyper.product([hyper.sweep(HEADS, size["heads"]), hyper.fixed(HEAD_DIM, None)])
    of_16 = hyper.product([hyper.sweep(HEADS, size["of_16"]), hyper.fixed(HEAD_DIM, 16)])
    counts = hyper.product([hyper.chainit([at_width, of_16]), hyper.sweep(RATE, size["rates"])])
    removed = {HEADS: min(16, size["heads"][-1]), HEAD_DIM: None, RATE: 1e-2}
    removed = hyper.product([hyper.fixed(name, value) for name, value in removed.items()])
    probed = [hyper.product([cells, hyper.fixed(PROBED, asked)]) for cells, asked in ((counts, False), (removed, True))]
    return hyper.product([hyper.chainit(probed), seeds])


def get_table():
    common = {"rows": (HEADS,), "nuisance": (RATE,), "seeds": ("seed.init", "seed.data"), "baseline": {HEADS: 4}}
    progress = {"metric": "progress", "lower_is_better": False}
    both, title = "How many heads, at fixed width (auto) and at 16 per head?", "How many heads of a fixed model width?"
    columns = tuple(map(Column, ("val_loss", "progress", "params", "tokens_per_second")))
    usual = {PROBED: False}
    return [
        Table(columns=(HEAD_DIM,), only=usual, title=both, **progress, **common),
        Table(columns_of=columns, only=usual | {HEAD_DIM: None}, paper=PUBLISHED, title=title, **progress, **common),
    ]


def get_figure():
    return Figure(
        panels=(
            Panel("progress", x=HEADS, log_x=True, title="each at its best learning rate", at={PROBED: False}),
            Panel("head_loss_max", x=HEADS, title="largest loss of removing a head", at={PROBED: True}),
        ),
        lines=(HEAD_DIM,),
        title="How many heads?",
        columns=2,
    )


def get_claims():
    width, of_16 = {HEAD_DIM: None, PROBED: False}, {HEAD_DIM: 16, PROBED: False}
    removed = {HEADS: 16, HEAD_DIM: None, PROBED: True}

    def loss(heads):
        return Quantity("val_loss", width | {HEADS: heads}, stuck_counts=True)

    def along(metric, fit, at=width, between=()):
        return Quantity(metric, at, over=HEADS, fit=fit, between=between, stuck_counts=True)

    best = along("val_loss", "least", between=(2, 4, 8, 16))
    return [
        Claim(
            "VAS-1",
            "one head, and 64 of one channel each, are worse than the best of 2 to 16 by more than 0.02 nats",
            f"{VASWANI}, table 3 rows A",
            "training",
            rule=(Greater(loss(1), best, 0.02), Greater(loss(64), best, 0.02), Greater(loss(32), best)),
            caveat="the best is taken per seed; a stuck seed counts with its loss; on text the effect is smaller",
        ),
        Claim(
            "VAS-3",
            "at fixed width the parameters do not depend on the number of heads",
            VASWANI,
            "exact",
            rule=(Every(along("params", "range"), 0, 0),),
        ),
        Claim(
            "BH-3",
            "with 16 channels per head more heads help; at fixed width, from 8 heads on, they do not",
            "Low-Rank Bottleneck, Bhojanapalli et al. 2020, arXiv 2002.07028",
            "training",
            rule=(
                Above(along("progress", "loglinear_slope", of_16), 0),
                Below(along("progress", "loglinear_slope", between=(8, 16, 32, 64)), 0),
            ),
            caveat="with 16 channels per head more heads are more parameters too",
        ),
        Claim(
            "MI-1",
            "of 16 trained heads the median can be removed for less than 0.02 nats, and the dearest costs over 0.1",
            "Are Sixteen Heads Really Better than One?, Michel et al. 2019, arXiv 1905.10650",
            "training",
            rule=(Below(Quantity("head_loss_median", removed), 0.02), Above(Quantity("head_loss_max", removed), 0.1)),
            check=(Above(Quantity("progress", removed), 0.5),),
            caveat="two layers of 16 heads of 4 channels, at one learning rate",
        ),
    ]
