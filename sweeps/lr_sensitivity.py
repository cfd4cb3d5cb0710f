"""How much does the loss depend on the learning rate, and what makes it depend less?

paper     Small-scale proxies for large-scale Transformer training instabilities (Wortsman et al. 2023, arXiv
          2309.14322); Peri-LN (Kim et al. 2025, arXiv 2502.02732); NormFormer (Shleifer et al. 2021,
          arXiv 2110.09456)
command   python -m experiments.launch --config=sweeps/lr_sensitivity.py --workdir=runs/lr_sensitivity
smoke     12 cells in 2 programs, 15 seconds
quick     490 cells in 12 programs, 10 minutes on 2 cores that had other work too
full      1190 cells in 32 programs, 30 minutes on 2 cores
measured  learning-rate sensitivity = mean over the grid of learning rates of min(loss, loss before training), minus
          the least of them, per seed: 0 for an arm that no learning rate hurts. Adam with a warm-up of 5 % of the
          steps, cosine, gradients clipped at 1, z-loss 1e-4, as in the paper; weight decay is 0.01 times the learning
          rate, where the paper's does not follow the learning rate
expect    The curves agree up to a critical learning rate, beyond which the base is worse than with qk-norm;
          Pre-LN at 6 layers makes 0.08, 0.19, 0.65, 0.43 of the progress at 1e-3, 3e-3, 1e-2, 3e-2, and is stuck at 0.1
"""

from functools import partial

from experiments.claims import Claim, Equivalent, Fails, Greater, Quantity
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx import config

WIRING, DEPTH, QK, Z = "model.wiring", "model.num_layers", "model.qk_norm", "train.z_loss"
WARMUP, RATE = "optim.warmup_steps", "optim.learning_rate"
RATES = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]
BASE = {QK: ["none"], Z: [0.0]}
INTERVENTIONS = {QK: ["none", "layernorm"], Z: [0.0, 1e-4]}
USUAL = {"steps": 300, "depths": [2, 6], "rates": RATES, "seeds": 5}
SIZES = {
    "smoke": {"steps": 40, "depths": [2], "rates": RATES[-3:], "seeds": 1, "arms": {"pre": INTERVENTIONS | {Z: [0.0]}}},
    "quick": USUAL | {"arms": {"pre": INTERVENTIONS, "sandwich": BASE, "post": BASE}},
    "full": USUAL | {"arms": dict.fromkeys(("pre", "sandwich", "post", "normformer"), INTERVENTIONS)},
}


def get_config(size):
    c = config.default()
    c.model.width = 32
    c.model.num_layers = size["depths"][-1]
    c.model.activation = "relu"
    c.data.name = "markov2"
    c.data.vocab_size = 8
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
    seeds = hyper.seeds(size["seeds"])
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
        hyper.product([*(hyper.fixed(*one) for one in longer.items()), hyper.sweep(WARMUP, [warmups[0], warmups[2]])])
    )
    return hyper.product([hyper.chainit(arms), hyper.sweep(RATE, size["rates"]), seeds])


def get_table(size):
    seeds, usual = ("seed.init", "seed.data"), {WARMUP: 0.05 * size["steps"]}
    every, arm = (WIRING, DEPTH, QK, Z), {QK: "none", Z: 0.0}
    columns = (
        Column("bounded_loss", "sensitivity", over=RATE, fit="excess", format=".3f"),
        Column("bounded_loss", "best loss", over=RATE, fit="least"),
        Column("val_loss", "largest rate that trains", over=RATE, fit="largest_trained", format=".2g"),
    )
    base = {WIRING: "pre", DEPTH: size["depths"][-1]} | arm
    title = "How much does the loss depend on the learning rate?"
    return [
        Table(rows=every, columns_of=columns, seeds=seeds, only=usual, baseline=arm, title=title),
        Table(rows=every, columns=(RATE,), seeds=seeds, only=usual, title="Validation loss by learning rate"),
        Table(
            rows=every, columns=(RATE,), metric="logit_max", seeds=seeds, only=usual, title="Largest attention logit"
        ),
        Table(rows=(WARMUP,), columns_of=columns, seeds=seeds, only=base, title=f"{title} By the steps of warm-up"),
    ]


def get_figure(size):
    deep, usual, base = {DEPTH: size["depths"][-1]}, {WARMUP: 0.05 * size["steps"]}, {QK: "none", Z: 0.0}
    return Figure(
        panels=tuple(
            Panel(metric, x=RATE, log_x=True, log_y=metric == "logit_max", title=title, at=at)
            for metric, title, at in (
                ("bounded_loss", "Pre-LN", {WIRING: "pre"} | deep | usual),
                ("bounded_loss", "by placement", base | deep | usual),
                ("bounded_loss", "Pre-LN by warm-up", {WIRING: "pre"} | base | deep),
                ("logit_max", "attention logits, Pre-LN", {WIRING: "pre"} | deep | usual),
            )
        ),
        lines=(WIRING, QK, Z, WARMUP),
        title="Loss against learning rate",
        columns=2,
    )


def get_claims(size):
    wortsman, peri = "Wortsman et al. 2023, arXiv 2309.14322", "Peri-LN, Kim et al. 2025, arXiv 2502.02732"
    deepest = size["depths"][-1]

    def at(wiring="pre", qk="none", share=0.05):
        return {WIRING: wiring, DEPTH: deepest, QK: qk, Z: 0.0, WARMUP: share * size["steps"]}

    def along(metric, fit, **arm):
        return Quantity(metric, at(**arm), over=RATE, fit=fit)

    def ratio(metric, other, rates, factor):
        """The metric of the base over that of another arm, at each of the rates."""

        def there(rate, **arm):
            return Quantity(metric, at(**arm) | {RATE: rate}, stuck_counts=True)

        return tuple(Greater(there(rate), there(rate, **other), factor, ratio=True) for rate in rates)

    sensitivity, largest = partial(along, "bounded_loss", "excess"), partial(along, "val_loss", "largest_trained")
    best = partial(along, "bounded_loss", "least")
    hurt = (Fails(at() | {RATE: 3e-1}),)
    return [
        Claim(
            "WO-1",
            "qk-norm lowers the sensitivity to the learning rate, and three times the learning rate still trains",
            f"{wortsman}, figure 1",
            "training",
            rule=(
                Greater(sensitivity(), sensitivity(qk="layernorm"), 0.05),
                Greater(largest(qk="layernorm"), largest(), 2.99, ratio=True),
            ),
            check=hurt,
            caveat="300 steps show no slow divergence; neighbours on the grid are a factor of 3 to 3.3 apart",
        ),
        Claim(
            "WO-2",
            "attention logits at large learning rates are more than ten times larger without qk-norm",
            wortsman,
            "training",
            rule=ratio("logit_max", {"qk": "layernorm"}, (3e-2, 1e-1, 3e-1), 10),
            caveat="of the layer where they are largest; the bound by the scales of the norms is not measured",
        ),
        Claim(
            "WO-4",
            "a longer warm-up, 10 % of the steps in place of 1 %, lowers the sensitivity to the learning rate",
            wortsman,
            "training",
            rule=(Greater(sensitivity(share=0.01), sensitivity(share=0.1)),),
            check=hurt,
            caveat="10 % of the steps are 30 here",
        ),
        Claim(
            "QK-4",
            "at the best learning rate of each, qk-norm changes the loss by less than 0.02 nats",
            "Query-Key Normalization, Henry et al. 2020, arXiv 2010.04245",
            "training",
            rule=(Equivalent(best(qk="layernorm"), best(), 0.02),),
            caveat="a LayerNorm per head, not the paper's cosine; the best learning rate is taken per seed",
        ),
        Claim(
            "PERI-4",
            "Peri-LN is less sensitive to the learning rate than Pre-LN, by more than 0.02 nats",
            peri,
            "training",
            rule=(Greater(sensitivity(), sensitivity(wiring="sandwich"), 0.02),),
            check=hurt,
            caveat="the paper's gain is in how many seeds diverge over billions of tokens",
        ),
        Claim(
            "PERI-3",
            "during training the stream grows more than twice as much under Pre-LN as under Peri-LN",
            peri,
            "training",
            rule=ratio("stream_gained", {"wiring": "sandwich"}, (3e-3, 1e-2), 2),
            caveat="growth since step 20, not since the start",
        ),
        Claim(
            "NF-3",
            "the largest learning rate that trains is at least as large for NormFormer as for Pre-LN",
            "NormFormer, Shleifer et al. 2021, arXiv 2110.09456",
            "training",
            rule=(Greater(largest(wiring="normformer"), largest(), 0.99, ratio=True),),
            check=hurt,
            caveat="the paper's factor of 1.4 to 1.6 lies between two points of this grid",
        ),
    ]
