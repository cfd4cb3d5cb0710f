"""A sweep in memory, as experiments.results gives it, whose numbers are what a function says."""

import itertools

import numpy as np
import pandas as pd

from experiments.results import Results

WIRING, DEPTH, RATE, SEED = "model.wiring", "model.num_layers", "optim.learning_rate", "seed.init"
AXES = {WIRING: ["post", "pre"], DEPTH: [6], RATE: [1e-3], SEED: [0, 1, 2, 3, 4]}
TABLE = {"metric": "val_loss", "lower_is_better": True, "nuisance": [RATE], "seeds": [SEED]}


def results(number_of, metric="val_loss", without=(), **axes):
    """The product of the axes (wiring, depth, rate, seed), all of AXES that are not given.

    number_of(wiring, depth, rate, seed) is a number, a status, or both; cells in `without` are not in the sweep.
    """
    axes = {
        name: axes.get(short, AXES[name]) for name, short in zip(AXES, ("wiring", "depth", "rate", "seed"), strict=True)
    }
    rows = {}
    for place in itertools.product(*axes.values()):
        if place not in without:
            outcome = number_of(*place)
            number, status = outcome if isinstance(outcome, tuple) else (outcome, outcome)
            row = dict(zip(axes, place, strict=True)) | {"params": 1000.0}
            row["status"] = status if isinstance(status, str) else "done"
            row[metric] = np.nan if isinstance(number, str) else float(number)
            rows[f"cell{len(rows)}"] = row
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return Results("memory", {"axes": axes, "table": TABLE}, frame)


def with_probe(results, values_of, quantity="logits"):
    """The same with a probe: values_of(wiring, seed), None where a cell has none."""
    for name, row in results.rows.items():
        values = values_of(row[WIRING], row[SEED])
        columns = (
            {"quantity": quantity, "index": range(len(values)), "head": 0, "value": values}
            if values is not None
            else {}
        )
        results.probed[name] = pd.DataFrame(columns, columns=["quantity", "index", "head", "value"])
    return results


def noise(seed, size=0.01):
    """One number per seed, of mean near 0."""
    return size * float(np.random.default_rng(seed).normal())
