"""Two blocks, [4 heads, 2 feed-forward sublayers] then [8 heads, 4]: which Add & Norm classifies news best?

data      BBC news in five topics (Greene & Cunningham 2006), the first 128 bytes of each of 2,051 documents
command   python -m experiments.launch --config=sweeps/two_block_classifier.py --workdir=runs/two_block_classifier
cells     5 wirings x LayerNorm, RMSNorm x 2 learning rates x 3 seeds = 60
baseline  TF-IDF with logistic regression on the same splits, test accuracy: 0.92 from the 128 bytes that the models
          here read, 0.98 from whole documents (its regularisation chosen on the validation split)
"""

from experiments.table_spec import Table
from flax_tx import config


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
            hyper.sweep("model.wiring", ["post", "pre", "sandwich", "deepnorm", "none"]),
            hyper.sweep("model.norm.kind", ["layernorm", "rmsnorm"]),
            hyper.sweep("optim.learning_rate", [3e-3, 1e-2]),
            hyper.zipit([hyper.sweep("seed.init", range(3)), hyper.sweep("seed.data", range(3))]),
        ]
    )


def get_table():
    return Table(
        rows=("model.wiring", "model.norm.kind"),
        metric="test_accuracy",
        lower_is_better=False,
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.wiring": "post"},
        title="Two blocks on BBC news: which Add & Norm?",
    )
