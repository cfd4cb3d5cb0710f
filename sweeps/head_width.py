"""How many heads, at fixed width (more are narrower) and at fixed head width (more are more parameters)?

paper     Attention Is All You Need (Vaswani et al. 2017, arXiv 1706.03762), table 3 rows A; Low-Rank Bottleneck
          (Bhojanapalli et al. 2020, arXiv 2002.07028)
command   python -m experiments.launch --config=sweeps/head_width.py --workdir=runs/head_width
task      lookup: the sum of the last token and of the one two places before it. The last token is in the stream, so
          attention has one thing to find. The entropy rate is known: progress is 0 at the unigrams and 1 at the best
          possible model
cells     6 head counts x (width / heads, or 16 per head) x 3 learning rates x 3 seeds = 108
beside    sweeps/heads_on_text.py asks the same of text, where there is more than one thing to find
"""

from experiments.table_spec import Table
from flax_tx import config

HEADS = (1, 2, 4, 8, 16, 32)


def get_config():
    c = config.default()
    c.model.width = 64
    c.model.num_layers = 2
    c.data.name = "lookup"
    c.data.vocab_size = 16
    c.data.seq_len = 32
    c.train.batch_size = 32
    c.train.steps = 300
    c.optim.warmup_steps = 30.0
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.num_heads", HEADS),
            hyper.sweep("model.head_dim", [None, 16]),
            hyper.sweep("optim.learning_rate", [1e-2, 2e-2, 4e-2]),
            hyper.seeds(3),
        ]
    )


def get_table():
    return Table(
        rows=("model.num_heads",),
        columns=("model.head_dim",),
        metric="progress",
        lower_is_better=False,
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.num_heads": 4},
        title="How many heads, at fixed width (auto) and at 16 per head?",
    )
