"""How much does the loss depend on the learning rate, and what makes it depend less?

paper     Small-scale proxies for large-scale Transformer training instabilities (Wortsman et al. 2023, arXiv
          2309.14322), figures 1 to 3; Peri-LN (Kim et al. 2025, arXiv 2502.02732); NormFormer (Shleifer et al. 2021,
          arXiv 2110.09456)
command   python -m experiments.launch --config=sweeps/lr_sensitivity.py --workdir=runs/lr_sensitivity
smoke     12 cells in 4 programs, 20 seconds
quick     490 cells in 12 programs, 12 minutes on 2 cores
full      1470 cells in 30 programs, 1 hour on 2 cores
measured  learning-rate sensitivity = mean over the grid of learning rates of min(loss, loss before training), minus
          the least of them, per seed: 0 for an arm that no learning rate hurts. Adam with a warm-up of 5 % of the
          steps, cosine, gradients clipped at 1, z-loss 1e-4, as in the paper; weight decay is 0.01 times the learning
          rate, where the paper's does not follow the learning rate
expect    The curves agree up to a critical learning rate, beyond which the base is worse than with qk-norm
"""

from experiments.column import Column
from experiments.table_spec import Table
from flax_tx import config

WIRING, DEPTH, QK, Z = "model.wiring", "model.num_layers", "model.qk_norm", "train.z_loss"
WARMUP, RATE = "optim.warmup_steps", "optim.learning_rate"
RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]
STEPS = 300
BASE = {QK: ["none"], Z: [0.0]}
INTERVENTIONS = {QK: ["none", "layernorm"], Z: [0.0, 1e-4]}
SIZES = {
    "smoke": {"steps": 40, "depths": [2], "rates": [1e-2, 1e-1, 3e-1], "seeds": 1, "arms": {"pre": INTERVENTIONS}},
    "quick": {
        "steps": STEPS,
        "depths": [2, 6],
        "rates": RATES,
        "seeds": 5,
        "arms": {"pre": INTERVENTIONS, "sandwich": BASE, "post": BASE},
    },
    "full": {
        "steps": STEPS,
        "depths": [2, 6],
        "rates": RATES,
        "seeds": 5,
        "arms": {"pre": INTERVENTIONS, "sandwich": INTERVENTIONS, "post": INTERVENTIONS, "normformer": INTERVENTIONS},
    },
}


def get_config(size):
    c = config.default()
    c.model.width = 32
    c.model.num_layers = size["depths"][-1]
    c.model.activation = "relu"
    c.data.name = "markov2"
    c.data.vocab_size = 32
    c.data.seq_len = 24
    c.train.batch_size = 16
    c.train.steps = size["steps"]
    c.train.chunk_steps = 20
    c.optim.warmup_steps = 0.05 * size["steps"]
    c.optim.beta2 = 0.95
    c.optim.eps = 1e-8
    c.optim.clip_norm = 1.0
    return c


def get_hyper(hyper, size):
    warmups = [share * size["steps"] for share in (0.01, 0.05, 0.1)]
    deepest = size["depths"][-1]
    seeds = hyper.zipit([hyper.sweep(name, range(size["seeds"])) for name in ("seed.init", "seed.data")])
    arms = [
        hyper.product(
            [
                hyper.fixed(WIRING, wiring),
                hyper.sweep(DEPTH, size["depths"]),
                *(hyper.sweep(name, values) for name, values in interventions.items()),
                hyper.fixed(WARMUP, warmups[1]),
            ]
        )
        for wiring, interventions in size["arms"].items()
    ]
    longer = {WIRING: "pre", DEPTH: deepest, QK: "none", Z: 0.0}
    arms.append(
        hyper.product(
            [*(hyper.fixed(*one) for one in longer.items()), hyper.sweep(WARMUP, [warmups[0], warmups[2]])]
        )
    )
    return hyper.product([hyper.chainit(arms), hyper.sweep(RATE, size["rates"]), seeds])


def get_table():
    sensitivity = Column("bounded_loss", "sensitivity", over=RATE, fit="excess", format=".3f")
    return Table(
        rows=(WIRING, DEPTH, QK, Z, WARMUP),
        columns_of=(
            sensitivity,
            Column("bounded_loss", "best loss", over=RATE, fit="least"),
            Column("val_loss", "largest rate that trains", over=RATE, fit="largest_trained", format=".0e"),
        ),
        metric="val_loss",
        seeds=("seed.init", "seed.data"),
        title="How much does the loss depend on the learning rate?",
    )
