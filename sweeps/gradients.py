"""What does the residual connection do, what does the norm, and which of the six combinations trains 12 layers?

paper     Deep Residual Learning (He et al. 2016, arXiv 1512.03385); On Layer Normalization in the Transformer
          Architecture (Xiong et al. 2020, arXiv 2002.04745), figure 3, in miniature
command   python -m experiments.launch --config=sweeps/gradients.py --workdir=runs/gradients
at init   the same with --config.optim.learning_rate=0 --config.train.steps=1: nothing moves, so that the diagnostics
          of every layer (experiments.records.load_layers) are those of the initial parameters
cells     no norm, Post-LN, Pre-LN x without (skip gain 0) and with a residual x 3 learning rates x 3 seeds = 54
"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 32
    c.model.num_heads = 4
    c.model.num_layers = 12
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = 150
    c.optim.schedule = "constant"
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.wiring", ["none", "post", "pre"]),
            hyper.sweep("model.gains.skip", [0.0, 1.0]),
            hyper.sweep("optim.learning_rate", [3e-4, 1e-3, 3e-3]),
            hyper.seeds(3),
        ]
    )


def get_table():
    return Table(
        rows=("model.wiring",),
        columns=("model.gains.skip",),
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.wiring": "pre"},
        title="12 layers without (skip 0) and with (skip 1) a residual: which norm trains?",
    )
