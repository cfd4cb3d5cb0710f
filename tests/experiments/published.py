"""A synthetic sweep with all that a table can say: families, labels, theory, several quantities, published numbers."""

import dataclasses

import numpy as np

from experiments import records
from experiments.column import Column
from experiments.paper import Paper
from experiments.table_spec import Table
from tests.experiments import synthetic

WIRINGS = ("post", "pre", "deepnorm", "rezero")
POWER = {"post": 2.0, "deepnorm": 0.0, "pre": 1.0, "rezero": 1.0}
PAPER = Paper(
    title="DeepNet <i>table 1</i>",
    source="Wang et al. 2022",
    spanners=(("BLEU & more", ("6L-6L", "18L-18L")), ("time", ("hours",))),
    rows={"post": ("28.1", "diverged?", "7"), "Pre-LN": ("27.0", "28.1? [M]", "8 [V2]")},
    extra_rows=(("NormFormer", "norm first", ("27.0", "28.3", "9")),),
    note="base size",
)
MAIN = Table(
    rows=("model.wiring",),
    columns=("model.num_layers",),
    nuisance=("optim.learning_rate",),
    seeds=("seed.init", "seed.data"),
    baseline={"model.wiring": "pre"},
    title="Which wiring?",
    groups={"pre": "norm first", "deepnorm": "norm last", "post": "norm last", "rezero": "no norm"},
    labels={"post": "Post-LN", "pre": "Pre-LN", 6: "6L", 12: "12L"},
    theory={"6L": {"post": "stuck"}},
    paper=PAPER,
)
SAME = dataclasses.replace(
    MAIN, only={"optim.learning_rate": 1e-3}, nuisance=(), title="One rate for all", paper=None, theory={}
)
UPDATES = Table(
    rows=("model.wiring",),
    nuisance=("optim.learning_rate",),
    seeds=("seed.init", "seed.data"),
    baseline={"model.wiring": "pre"},
    title="Updates",
    columns_of=(
        Column("update_sgd", "slope", over="model.num_layers", fit="slope"),
        Column("update_sgd", "deep", at={"model.num_layers": 12}, format=".1f"),
        Column("val_loss", "loss", at={"model.num_layers": 6}),
        Column("early_loss", "early", at={"model.num_layers": 6}),
        Column("params", "size", at={"model.num_layers": 6}),
    ),
    labels=MAIN.labels,
    theory={"slope": {"deepnorm": 0, "Pre-LN": "ln N"}},
)


def write(workdir, tables=(MAIN, SAME, UPDATES), **arguments):
    """The sweep with these tables; update_sgd of a cell is N^POWER e^(0.01 seed)."""
    axes = {"wirings": WIRINGS, "norms": ("layernorm",), "depths": (6, 12), "rates": (1e-3, 2e-3), "seeds": range(5)}
    plain = {"table": tables[0], "end_of": lambda overrides: "done", "name": "updates"}
    manifest = synthetic.write(workdir, **axes | plain | arguments)
    manifest["tables"] = [table.to_json() for table in tables]
    manifest["provenance"]["git"]["dirty"] = False
    records.write_json(workdir / "sweep.json", manifest)
    for cell in manifest["cells"]:
        config = records.read_json(records.cell_dir(workdir, cell) / "config.json")["config"]
        layers = config["model"]["num_layers"]
        value = layers ** POWER[config["model"]["wiring"]] * np.exp(0.01 * config["seed"]["init"] * np.log(layers))
        columns = {"quantity": ["update_sgd"], "index": [0], "head": [0], "value": [value]}
        synthetic.add_probes(workdir, cell, columns)
    return manifest
