"""A sweep that nobody trained, written through records.py: plausible curves, and every way in which a cell can end."""

import dataclasses
import hashlib
import itertools
import json

import numpy as np

from experiments import records
from experiments.table_spec import Table
from flax_tx.config import name_of
from flax_tx.schema import Config

UNIGRAM, BIGRAM, FLOOR = 3.04, 2.41, 1.30
WIRINGS = ("post", "pre", "sandwich", "deepnorm", "rezero")
GAIN = {"post": 0.0, "pre": -0.10, "sandwich": -0.12, "deepnorm": -0.02, "rezero": 0.06}
TABLE = Table(
    rows=("model.wiring", "model.norm.kind"),
    columns=("model.num_layers",),
    nuisance=("optim.learning_rate",),
    seeds=("seed.init", "seed.data"),
    baseline={"model.wiring": "post"},
    title="Which residual wiring still trains at depth?",
)


def config_of(overrides):
    """The nested config with dotted fields replaced."""
    config = dataclasses.asdict(Config())
    for name, value in overrides.items():
        *groups, leaf = name.split(".")
        inner = config
        for group in groups:
            inner = inner[group]
        assert leaf in inner, name
        inner[leaf] = value
    return config


def end_of(overrides):
    """How a cell ends: deep Post-LN is stuck, a high rate blows some up, one has a bug, one never ran."""
    wiring, depth = overrides["model.wiring"], overrides["model.num_layers"]
    rate, seed = overrides["optim.learning_rate"], overrides["seed.init"]
    if wiring == "post" and (depth == 24 or (depth == 12 and rate > 2e-3 and seed == 1)):
        return "stuck"
    if wiring == "rezero" and rate > 2e-3 and depth > 6:
        return "diverged" if seed == 0 or depth == 24 else "done"
    if wiring == "rezero" and depth == 24 and seed == 1:
        return "diverged"
    if wiring == "deepnorm" and depth == 6 and overrides["model.norm.kind"] == "rmsnorm":
        return {0: "failed", 1: "missing"}.get(seed, "done")
    return "done"


def curve_of(overrides, end, steps):
    """train_loss per step; NaN from the bad step on."""
    rng = np.random.default_rng(overrides["seed.init"] * 1000 + len(overrides["model.wiring"]))
    t = np.arange(steps)
    depth, rate = overrides["model.num_layers"], overrides["optim.learning_rate"]
    level = 1.75 + GAIN.get(overrides["model.wiring"], 0.0) - 0.04 * np.log2(depth) + 0.05 * abs(np.log10(rate / 2e-3))
    level += 0.01 * rng.normal() + 0.015 * (overrides["model.norm.kind"] == "rmsnorm")
    if end == "stuck":
        level = UNIGRAM + 0.02
    start = 5.545 * np.exp(-t / (8 if end == "stuck" else 12))
    plateau = (UNIGRAM - level) * np.exp(-np.maximum(t - 10, 0) / (0.16 * steps)) if end != "stuck" else 0
    loss = np.maximum(level + plateau + 0.4 * start, 0) + 0.06 * rng.normal(size=steps) * (1 + t / steps) / 2
    bad = steps * 2 // 5 if end == "diverged" else steps
    loss[max(bad - 6, 0) : bad] += np.linspace(0, 1.5, 6)[: bad - max(bad - 6, 0)] * (end == "diverged")
    loss[bad:] = np.nan
    return loss, bad, level


def write(
    workdir,
    wirings=WIRINGS,
    norms=("layernorm", "rmsnorm"),
    depths=(6, 12, 24),
    rates=(1e-3, 3e-3),
    seeds=(0, 1),
    steps=60,
    table=TABLE,
    end_of=end_of,
    name="depth_stability <script> a_b%&# ✓",
):
    """Writes the sweep and returns its manifest."""
    axes = {
        "model.wiring": list(wirings),
        "model.norm.kind": list(norms),
        "model.num_layers": list(depths),
        "optim.learning_rate": list(rates),
        "seed.init": list(seeds),
        "seed.data": list(seeds),
    }
    product = itertools.product(wirings, norms, depths, rates, seeds)
    cells = {}
    for values in product:
        overrides = dict(zip(axes, (*values, values[-1]), strict=True)) | {"train.steps": steps}
        cells[name_of(config_of(overrides))] = overrides
    programs = {}
    for cell, overrides in cells.items():
        group = [overrides["model.wiring"], overrides["model.norm.kind"], overrides["model.num_layers"]]
        programs.setdefault(hashlib.sha256(json.dumps(group).encode()).hexdigest()[:8], []).append(cell)
    manifest = {
        "name": name,
        "question": "Which wiring still trains at depth? <b>é</b> 深さ | `x`\nSecond line.",
        "command": "python -m experiments.launch --config=sweeps/depth_stability.py --workdir=runs/a_b%&#",
        "axes": axes,
        "cells": list(cells),
        "programs": programs,
        "points": cells,
        "table": table.to_json(),
        "data": {
            "kjv|lm|64": {
                "task": "lm",
                "vocab_size": 256,
                "unigram_loss": UNIGRAM,
                "bigram_loss": BIGRAM,
                "floor_loss": None,
                "fingerprint": "0f" * 16,
                "sizes": {"train": 3_000_000},
                "source": "Project Gutenberg no. 10",
            }
        },
        "provenance": {
            "git": {"commit": "4f9d2c1ab" + "0" * 31, "dirty": True},
            "versions": {"jax": "0.10.2", "flax": "0.12.8", "optax": "0.2.8"},
            "python": "3.11.9",
            "platform": "Linux",
            "cpu": "some CPU",
            "created": "2026-11-22T12:00:00+00:00",
        },
    }
    records.write_json(workdir / "sweep.json", manifest)
    for cell, overrides in cells.items():
        records.write_cell_config(workdir, cell, config_of(overrides))
        write_cell(workdir, cell, overrides, end_of(overrides), steps)
    return manifest


def write_cell(workdir, cell, overrides, end, steps):
    """What a cell leaves when it ends so."""
    if end == "missing":
        return
    if end == "failed":
        reason = "XlaRuntimeError: RESOURCE_EXHAUSTED [red]x[/red]"
        status = {"status": "failed", "reason": reason, "finished": "2026-11-22T12:20:00+00:00", "seconds": 1.0}
        records.write_result(workdir, cell, None, None, None, status, error="Traceback ...\nXlaRuntimeError: ...\n")
        return
    loss, bad, level = curve_of(overrides, end, steps)
    chunks, layers = np.arange(9, steps, 10), np.arange(2)
    final = float(level) if end != "diverged" else float("nan")
    records.write_result(
        workdir,
        cell,
        {"step": np.arange(steps), "train_loss": loss, "grad_norm": 1 + loss, "learning_rate": np.full(steps, 1e-3)},
        {
            "step": np.repeat(chunks, len(layers)),
            "layer": np.tile(layers, len(chunks)),
            "stream_rms": np.ones(len(chunks) * len(layers)),
        },
        {
            **{"val_loss": final, "val_loss_se": 0.004, "test_loss": final + 0.01, "test_loss_se": 0.004},
            **{"val_accuracy": None, "test_accuracy": None, "final_train_loss": final},
            **{"params": 50_000 * overrides["model.num_layers"], "flops_per_step": 1e9, "tokens_per_second": 80_000.0},
            **{"compile_seconds": 3.0, "train_seconds": 9.0, "unigram_loss": UNIGRAM, "floor_loss": None},
            **{"progress": None, "device": "cpu: some CPU"},
        },
        {
            "status": end,
            "step": bad if end == "diverged" else None,
            "reason": {"stuck": "never beat the unigram entropy", "diverged": "loss is not finite"}.get(end),
            "finished": "2026-11-22T12:30:00+00:00",
            "seconds": 12.0,
        },
    )


def add_probes(workdir, cell, columns):
    """Gives a cell with a result probes, or other ones."""
    put(workdir, cell, "probes.parquet", columns)


def put(workdir, cell, name, content):
    """Gives a cell with a result another file, as if it had ended so: columns of a table, or an object."""
    folder = records.cell_dir(workdir, cell)
    write = records.write_parquet if name.endswith(".parquet") else records.write_json
    write(folder / name, content)
    status = records.read_json(folder / "status.json")
    status["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    records.write_json(folder / "status.json", status)
