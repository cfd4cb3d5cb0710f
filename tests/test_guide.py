"""The guide to Add & Norm, in both languages: its commands are understood, its Python runs, both say the same."""

import functools
import importlib
import re
import shlex
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import launch, records, running
from experiments.outcome import layer_columns
from flax_tx import data, train
from flax_tx.config import structure
from flax_tx.stack import Stack
from flax_tx.sublayer import Tokens
from flax_tx.values import values
from tests.flax_tx import tiny

ROOT = Path(__file__).parents[1]
GUIDE, CHINESE = ((ROOT / "docs" / name).read_text("utf-8") for name in ("add_and_norm.md", "add_and_norm.zh.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCORES = ("val_loss", "progress", "val_accuracy", "test_accuracy", "final_train_loss")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")


def blocks(text, language):
    """The fenced blocks of a language."""
    return [block for found, block in FENCE.findall(text) if found == language]


def commands(text):
    """Every command of the guide as words."""
    lines = "".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def run_as(module, words):
    """The arguments of the commands `python -m module ...`."""
    return words[3:] if words[:3] == ["python", "-m", module] else None


@functools.cache
def statistics():
    """The names of what is recorded of every layer."""
    config = tiny.config()
    program = train.Program(structure(config), "lm", tiny.VOCAB, tiny.VOCAB)
    diagnose = functools.partial(train.diagnose, program)
    return list(jax.eval_shape(diagnose, values(config), data.load(config.data), tiny.shapes(program)))


def pretend(workdir, plan):
    """Results that nobody trained, for every cell of a plan."""
    running.prepare(plan, workdir, "launch", set())
    for index, (cell, config) in enumerate(plan.cells.items()):
        loss, depth = np.linspace(3, 2, 20) + 0.01 * index, config.model.num_layers
        records.write_result(
            workdir,
            cell,
            {"step": np.arange(1, 21), "train_loss": loss, "grad_norm": loss, "learning_rate": loss},
            layer_columns([(20, {name: np.full(depth, index) for name in statistics()})]),
            dict.fromkeys(SCORES, loss[-1]),
            {"status": "done", "finished": "", "seconds": 1.0},
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working directory of a reader who has launched every sweep of the guide."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "sweeps").symlink_to(ROOT / "sweeps")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in filter(None, (run_as("experiments.launch", words) for words in commands(GUIDE))):
            flags, rest = launch.parser().parse_known_args(words)
            pretend(flags.workdir, launch.checked_plan(flags, rest))
        yield folder


def test_every_command_is_understood(folder):
    """Launches are planned by the fixture; what reads results runs on results that nobody trained."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(GUIDE):
        if words[0] == "make":
            assert words[1] in targets
        elif run_as("experiments.launch", words) is None:
            assert words[:2] == ["python", "-m"]
            importlib.import_module(words[2]).main(words[3:])


def test_the_python_of_the_guide_runs(folder, capsys):
    space = {}
    for block in blocks(GUIDE, "python"):
        exec(compile(block, "docs/add_and_norm.md", "exec"), space)
    assert "grad_rms" in capsys.readouterr().out


def test_the_layer_of_the_guide_is_the_block_of_flax_tx(folder):
    (block,) = (block for block in blocks(GUIDE, "python") if "def post_norm_layer" in block)
    space = {}
    exec(compile(block, "docs/add_and_norm.md", "exec"), space)
    program, numbers = tiny.cell({"model.wiring": "post", "model.num_layers": 1})
    params, model = tiny.params(program)["stack"], program.config.model
    x, cotangent = np.random.default_rng(0).normal(size=(2, tiny.BATCH, tiny.LENGTH, model.width)).astype(np.float32)

    def by_hand(params, x):
        seen = np.tri(tiny.LENGTH, dtype=bool)
        return space["post_norm_layer"](jax.tree.map(lambda a: a[0], params["segment_0"]), x, model.num_heads, seen)

    def ours(params, x):
        tokens, x_TxD = Tokens(x.shape[:2], causal=True), x.reshape(-1, model.width)
        return Stack(model).apply({"params": params}, x_TxD, numbers["model"]["stack"], tokens).reshape(x.shape)

    @tiny.compiled
    def both(params, x):
        (y, back), (z, back_ours) = (jax.vjp(function, params, x) for function in (by_hand, ours))
        return (y, back(cotangent)), (z, back_ours(cotangent))

    for found, expected in zip(*map(jax.tree.leaves, both(params, x)), strict=True):
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_both_languages_hold_the_same_blocks_pictures_and_numbers():
    assert FENCE.findall(GUIDE) == FENCE.findall(CHINESE)
    pictures = re.compile(r"!\[[^]]*\]\(([^)]+)\)")
    assert pictures.findall(GUIDE) == pictures.findall(CHINESE)
    prose, translation = (FENCE.sub("", text) for text in (GUIDE, CHINESE))
    assert Counter(NUMBER.findall(prose)) == Counter(NUMBER.findall(translation))


@pytest.mark.parametrize("text", [GUIDE, CHINESE], ids=["english", "chinese"])
def test_every_link_to_a_file_leads_to_one(text):
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
