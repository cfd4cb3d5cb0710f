"""Which placement learns a Markov chain, and what happens to it with depth?

paper     none: the sweep of docs/tour.ipynb, small enough to be trained while one reads
command   python -m experiments.launch --config=sweeps/tour.py --workdir=runs/tour
cells     Post-LN, Pre-LN, DeepNorm x 2 depths x 2 learning rates x 3 seeds = 36
time      about a minute on 2 cores
expect    all learn at 2 layers; at 12 layers Post-LN is stuck at the unigram entropy with some seeds
"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 16
    c.model.num_heads = 2
    c.data.name = "markov1"
    c.data.vocab_size = 16
    c.data.seq_len = 16
    c.train.batch_size = 16
    c.train.steps = 120
    c.train.chunk_steps = 20
    c.train.eval_windows = 64
    c.optim.schedule = "constant"
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.wiring", ["post", "pre", "deepnorm"]),
            hyper.sweep("model.num_layers", [2, 12]),
            hyper.sweep("optim.learning_rate", [3e-3, 1e-2]),
            hyper.seeds(3),
        ]
    )


def get_table():
    return Table(
        rows=("model.wiring",),
        columns=("model.num_layers",),
        metric="val_loss",
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.wiring": "pre"},
        title="A Markov chain, each placement at its best learning rate",
        labels={"post": "Post-LN", "pre": "Pre-LN", "deepnorm": "DeepNorm", 2: "2 layers", 12: "12 layers"},
    )
