"""A wrong α of DeepNorm turns the verdict on its update: the claim is of what runs, not of what is written."""

import dataclasses

import pytest

from experiments import launch, verdict
from flax_tx.wiring import WIRINGS

SWEEP = '''"""Does DeepNorm's step of SGD depend on the depth?"""
from experiments.claims import Claim, Within
from sweeps import update_atlas as atlas

SIZE = {"arms": [("deepnorm", None)], "depths": [2, 6, 16], "seeds": 3}
get_config = atlas.get_config


def get_hyper(hyper):
    return atlas.get_hyper(hyper, SIZE | {"depths": [2, 16]})


def get_table():
    return atlas.get_table(SIZE)


def get_claims():
    rule = (Within(atlas.slope("update_sgd", "deepnorm"), -0.12, 0.12),)
    return [Claim("DN-1", "equally far at every depth", "DeepNet, theorem 4.2", "init", rule=rule)]
'''


def verdict_of(folder, name):
    path = folder / "deepnorm.py"
    path.write_text(SWEEP, encoding="utf-8")
    workdir = str(folder / name)
    assert launch.main([f"--config={path}", f"--workdir={workdir}", "--executor=inline"]) == 0
    (found,) = verdict.verdicts(workdir)
    return found.word, found.rule[0].effect


@pytest.mark.parametrize(("alpha", "word"), [(None, "HOLDS"), (lambda place: 0.5, "REVERSED")])
def test_a_wrong_alpha_turns_the_verdict(alpha, word, tmp_path, monkeypatch):
    if alpha is not None:
        monkeypatch.setitem(WIRINGS, "deepnorm", dataclasses.replace(WIRINGS["deepnorm"], skip_gain=alpha))
    assert verdict_of(tmp_path, "run")[0] == word
