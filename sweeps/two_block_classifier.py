"""Two blocks, [4 heads, 2 feed-forward sublayers] then [8 heads, 4]: what makes them a better classifier of news?

data      BBC news in five topics (Greene & Cunningham 2006), the first 128 bytes of each of 2,051 documents
command   python -m experiments.launch --config=sweeps/two_block_classifier.py --workdir=runs/two_block_classifier
cells     4 models, each with one change more than the one before, x 2 learning rates x 3 seeds = 24
baseline  TF-IDF with logistic regression on the same splits, test accuracy: 0.92 from the 128 bytes that the models
          here read, 0.98 from whole documents (its regularisation chosen on the validation split)
"""

from experiments.table_spec import Table
from flax_tx import config

MODELS = (
    {"model.wiring": "post"},
    {"model.wiring": "pre"},
    {"model.positions": "rotary"},
    {"model.positions": "rotary", "model.dropout.branch": 0.2},
)
START = {"model.wiring": "pre", "model.positions": "learned", "model.dropout.branch": 0.0}


def get_config():
    c = config.default()
    c.model.width = 32
    c.model.embed_scale = 0.3
    c.model.segments = (
        {"num_layers": 1, "num_heads": 4, "num_ffn": 2},
        {"num_layers": 1, "num_heads": 8, "num_ffn": 4},
    )
    c.model.num_layers = 2
    c.data.name = "bbc_news"
    c.data.seq_len = 128
    c.train.batch_size = 32
    c.train.steps = 300
    c.optim.warmup_steps = 30.0
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            [START | changes for changes in MODELS],
            hyper.sweep("optim.learning_rate", [3e-3, 1e-2]),
            hyper.seeds(3),
        ]
    )


def get_table():
    return Table(
        rows=tuple(START),
        metric="test_accuracy",
        lower_is_better=False,
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline=START,
        title="Two blocks on BBC news: what helps?",
    )
