"""How many heads, at fixed width (more are narrower) and at fixed head width (more are more parameters)?

paper     Attention Is All You Need (Vaswani et al. 2017, arXiv 1706.03762), table 3 rows A; Low-Rank Bottleneck
          (Bhojanapalli et al. 2020, arXiv 2002.07028); Are Sixteen Heads Really Better than One? (Michel et al. 2019,
          arXiv 1905.10650)
command   python -m experiments.launch --config=sweeps/heads.py --workdir=runs/heads
smoke     6 cells in 3 programs, 20 seconds
quick     170 cells in 12 programs, 12 minutes on 2 cores
full      230 cells in 16 programs, 40 minutes on 2 cores
task      lookups: the next token is a function of the tokens two and three places back, which must be found at once
          and told apart. Of the entropy, progress is 0 at the unigrams and 1 at the best possible model
expect    One head stays near the unigrams where four are far on their way; with 64 heads of one channel each the gain
          is gone
beside    sweeps/heads_on_text.py asks the same of text
"""

from experiments.table_spec import Table
from flax_tx import config

HEADS, HEAD_DIM, RATE, PROBED = "model.num_heads", "model.head_dim", "optim.learning_rate", "probe.heads"
SIZES = {
    "smoke": {"heads": [1, 4], "of_16": [4], "rates": [1e-2], "seeds": 1, "steps": 20},
    "quick": {
        "heads": [1, 2, 4, 8, 16, 32, 64],
        "of_16": [1, 2, 4, 8],
        "rates": [5e-3, 1e-2, 2e-2],
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
    seeds = hyper.zipit([hyper.sweep(name, range(size["seeds"])) for name in ("seed.init", "seed.data")])
    at_width = hyper.product([hyper.sweep(HEADS, size["heads"]), hyper.fixed(HEAD_DIM, None)])
    of_16 = hyper.product([hyper.sweep(HEADS, size["of_16"]), hyper.fixed(HEAD_DIM, 16)])
    counts = hyper.product([hyper.chainit([at_width, of_16]), hyper.sweep(RATE, size["rates"])])
    removed = {HEADS: min(16, size["heads"][-1]), HEAD_DIM: None, RATE: 1e-2}
    removed = hyper.product([hyper.fixed(name, value) for name, value in removed.items()])
    probed = [
        hyper.product([cells, hyper.fixed(PROBED, asked)]) for cells, asked in ((counts, False), (removed, True))
    ]
    return hyper.product([hyper.chainit(probed), seeds])


def get_table():
    return Table(
        rows=(HEADS,),
        columns=(HEAD_DIM,),
        metric="progress",
        lower_is_better=False,
        nuisance=(RATE,),
        seeds=("seed.init", "seed.data"),
        only={PROBED: False},
        baseline={HEADS: 4},
        title="How many heads, at fixed width (auto) and at 16 per head?",
    )
