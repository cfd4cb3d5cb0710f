"""How many heads of a fixed model width read text best?

paper     Attention Is All You Need (Vaswani et al. 2017, arXiv 1706.03762), table 3 rows A, in miniature
command   python -m experiments.launch --config=sweeps/heads_on_text.py --workdir=runs/heads_on_text
cells     6 head counts x 4 learning rates x 5 seeds = 120, all with equally many parameters
beside    sweeps/heads.py asks the same of a task in which attention has one thing to find
"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 64
    c.model.num_layers = 2
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 32
    c.train.steps = 300
    c.optim.warmup_steps = 30.0
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.num_heads", [1, 2, 4, 8, 16, 32]),
            hyper.sweep("optim.learning_rate", [1e-2, 2e-2, 4e-2, 8e-2]),
            hyper.seeds(5),
        ]
    )


def get_table():
    return Table(
        rows=("model.num_heads",),
        metric="val_loss",
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.num_heads": 4},
        title="How many heads of a fixed model width read text best?",
    )
