"""Every sweep file plans without a problem, opens with its command, and holds what its question needs."""

import re
from pathlib import Path

import pytest

from experiments import plan, sweep_file
from flax_tx.config import knobs, resolve

FILES = sorted((Path(__file__).parents[2] / "sweeps").glob("[!_]*.py"))
GROWING = {"catalogue"}  # a cell for every row of the tables, so its docstring has no count
SMOKE_CELLS, SMOKE_PROGRAMS, SMOKE_FLOPS = 24, 4, 5e10  # 20 CPU seconds: a few compilations, hardly any training
READ = {}


def sizes_of(file):
    """The names of SIZES; [None] for a sweep of one size."""
    return list(sweep_file.sizes_of(sweep_file.execute(str(file)), str(file))) or [None]


PLANS = [pytest.param(file, size, id=f"{file.stem}-{size}") for file in FILES for size in sizes_of(file)]
FLAGSHIPS = sorted({file for file, size in (param.values for param in PLANS) if size})


def planned(file, size=None):
    if (file, size) not in READ:
        READ[file, size] = plan.make(sweep_file.read(str(file), size), {})
    return READ[file, size]


@pytest.mark.parametrize(("file", "size"), PLANS)
def test_a_sweep_plans_and_its_docstring_says_how_to_run_it(file, size):
    made = planned(file, size)
    question, cells = made.file.question, len(made.cells)
    assert f"--config=sweeps/{file.name}" in question
    assert question.splitlines()[0].endswith("?")
    if size is None:
        assert file.stem in GROWING or f"= {cells}" in question
    else:
        assert re.search(rf"(?<![\d,])({cells}|{cells:,}) cells", question), f"{size}: {cells} cells"


@pytest.mark.parametrize("file", FLAGSHIPS, ids=lambda file: file.stem)
def test_a_sweep_in_sizes_says_something_in_each_and_is_small_in_smoke(file):
    assert sizes_of(file) == ["smoke", "quick", "full"]
    smoke = planned(file, "smoke")
    assert len(smoke.cells) <= SMOKE_CELLS
    assert len(smoke.programs) <= SMOKE_PROGRAMS
    assert sum(map(smoke.flops, smoke.cells)) <= SMOKE_FLOPS
    for size in sizes_of(file):
        made = planned(file, size)
        assert made.file.claims
        assert made.file.figure or file.stem == "identities"  # whose answers are yes or no
        assert len(made.cells) >= len(smoke.cells)


def test_the_default_sweep_has_the_arms_of_its_question():
    made = planned(Path(__file__).parents[2] / "sweeps" / "depth_stability.py")
    assert len(made.cells) >= 100
    assert {"post", "pre", "sandwich", "deepnorm", "rezero"} <= set(made.axes["model.wiring"])
    assert made.axes["model.norm.kind"] == ["layernorm", "rmsnorm"]
    assert max(made.axes["model.num_layers"]) == 24


def test_the_classifier_has_two_uneven_blocks():
    made = planned(Path(__file__).parents[2] / "sweeps" / "two_block_classifier.py")
    for config in made.cells.values():
        assert [(dict(s)["num_heads"], dict(s)["num_ffn"]) for s in config.model.segments] == [(4, 2), (8, 4)]


def test_heads_cost_nothing_at_fixed_width_and_parameters_at_fixed_head_width():
    made = planned(Path(__file__).parents[2] / "sweeps" / "heads.py")
    sizes = {None: {}, 16: {}}
    for cell, config in made.cells.items():
        sizes[config.model.head_dim].setdefault(config.model.num_heads, set()).add(made.params(cell))
    assert len(set.union(*sizes[None].values())) == 1
    assert len(set.union(*sizes[16].values())) == len(sizes[16]) > 1


def test_the_catalogue_trains_every_name_of_the_model_by_itself():
    made = planned(Path(__file__).parents[2] / "sweeps" / "catalogue.py")
    alone = set(map(repr, made.cells.values()))
    for name, field in knobs().items():
        for value in field.metadata.get("among", ()) if name.startswith("model.") else ():
            assert value in made.axes[name]
            needs = {"model.num_ffn": 2} if name == "model.layout" else {}
            needs |= {"model.qk_norm": "norm"} if name == "model.qk_norm_over" else {}
            assert repr(resolve({"train.steps": 50, name: value} | needs)[0]) in alone
