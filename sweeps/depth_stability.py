"""Which way of adding and normalising still trains when the stack gets deep?

paper     DeepNet (Wang et al. 2022, arXiv 2203.00555), table 1, in miniature
command   python -m experiments.launch --config=sweeps/depth_stability.py --workdir=runs/depth_stability
cells     5 wirings x LayerNorm, RMSNorm x 3 depths x 2 learning rates x 2 seeds = 120
time      3 minutes on 2 cores
expect    Post-LN is stuck at the unigram entropy from depth 12 on, at either learning rate; Pre-LN, sandwich,
          ReZero and DeepNorm train at every depth. ReZero holds no norm: its two rows differ in name only.
"""

from experiments.table_spec import Table
from flax_tx import config


def get_config():
    c = config.default()
    c.model.width = 32
    c.model.num_heads = 4
    c.data.name = "kjv"
    c.data.seq_len = 32
    c.train.batch_size = 16
    c.train.steps = 100
    c.optim.schedule = "constant"
    return c


def get_hyper(hyper):
    return hyper.product(
        [
            hyper.sweep("model.wiring", ["post", "pre", "sandwich", "deepnorm", "rezero"]),
            hyper.sweep("model.norm.kind", ["layernorm", "rmsnorm"]),
            hyper.sweep("model.num_layers", [4, 12, 24]),
            hyper.sweep("optim.learning_rate", [1e-3, 3e-3]),
            hyper.seeds(2),
        ]
    )


def get_table():
    return Table(
        rows=("model.wiring", "model.norm.kind"),
        columns=("model.num_layers",),
        metric="val_loss",
        nuisance=("optim.learning_rate",),
        seeds=("seed.init", "seed.data"),
        baseline={"model.wiring": "pre"},
        title="Which way of adding and normalising still trains when the stack gets deep?",
    )
