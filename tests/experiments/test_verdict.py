"""Verdicts from the records on disk alone: other numbers, another word; three formats; mistakes are one line."""

import io
import json
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from rich.console import Console

from experiments import records, verdict
from experiments.claims import (
    HOLDS,
    INCONCLUSIVE,
    NOT_EXERCISED,
    REVERSED,
    Claim,
    Fails,
    Greater,
    Quantity,
    Same,
    Trains,
    Within,
)
from flax_tx.errors import UserError
from tests.experiments import synthetic

WIRING, DEPTH, NORM = "model.wiring", "model.num_layers", "model.norm.kind"
POST, PRE = ({WIRING: wiring, NORM: "layernorm"} for wiring in ("post", "pre"))
SLOPES = [Quantity("update_sgd", at, DEPTH, "slope") for at in (POST, PRE)]
CLAIMS = [
    Claim("SLOPE", "Post-LN's update grows", "A 1", "init", [Within(SLOPES[0], 1.8, 2.2), Greater(*SLOPES, 1.5)]),
    Claim("LOSS", "Pre-LN is better | <b>x</b> [red]y[/red]", "B", "training", [
        Greater(Quantity("val_loss", {**POST, DEPTH: 6}), Quantity("val_loss", {**PRE, DEPTH: 6}), 0.05),
    ], caveat="at this size"),
    Claim("DEEP", "Pre-LN trains where Post-LN fails", "C", "training", [Trains({**PRE, DEPTH: 24})], [
        Fails({**POST, DEPTH: 24}),
    ]),
    Claim("SAME", "the same function", "D", "exact", [Same(POST, PRE, tolerance=1e-6)]),
    Claim("LARGE", "deeper yet", "E", "training", [Trains({**PRE, DEPTH: 48})]),
]  # fmt: skip


def noise(seed):
    return float(np.random.default_rng(seed).normal(0, 0.02))


@mock.patch("os.fsync", lambda descriptor: None)  # of hundreds of files that nobody keeps
def write(folder, exponent=2.0, gain=0.2, deep="stuck", logits=0.0, claims=CLAIMS):
    """A sweep of two wirings and three depths in which each argument decides one claim."""
    arguments = {"wirings": ("post", "pre"), "norms": ("layernorm",), "depths": (6, 12, 24), "rates": (1e-3,)}
    manifest = synthetic.write(folder, **arguments, seeds=range(5), end_of=lambda overrides: "missing")
    records.write_json(folder / "sweep.json", {**manifest, "claims": [claim.to_json() for claim in claims]})
    for cell, row in records.load(folder).iterrows():
        post, depth, seed = row[WIRING] == "post", row[DEPTH], row["seed.init"]
        status = deep if post and depth == 24 else "done"
        loss = 2 + noise(seed) + post * (gain + noise(seed + 50))
        update = depth ** (exponent * post) * np.exp(noise(seed + depth))
        values = [update, *(np.linspace(-1, 1, 4) + seed + logits * post)]
        probes = {
            "quantity": ["update_sgd", *["logits"] * 4],
            "index": [0, *range(4)],
            "head": [0] * 5,
            "value": values,
        }
        summary = {"val_loss": loss, "params": 1000.0}
        records.write_result(folder, cell, None, None, summary, {"status": status, "seconds": 1.0}, probes=probes)
    return folder


def words(folder):
    return {found.claim.id: found.word for found in verdict.verdicts(folder)}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "claimed")


TRUE = {"SLOPE": HOLDS, "LOSS": HOLDS, "DEEP": HOLDS, "SAME": HOLDS, "LARGE": NOT_EXERCISED}


def test_the_records_decide(workdir):
    assert words(workdir) == TRUE
    slope = verdict.verdicts(workdir)[0]
    assert slope.deciding.effect == pytest.approx(2, abs=0.1) and slope.deciding.n == 5
    assert not slope.rule[0].reasons  # deep Post-LN is stuck, but was measured before training


@pytest.mark.parametrize(
    ("sabotage", "claim", "word"),
    [
        ({"exponent": 1.0}, "SLOPE", REVERSED),
        ({"exponent": 2.2}, "SLOPE", INCONCLUSIVE),
        ({"gain": -0.2}, "LOSS", REVERSED),
        ({"gain": 0.05}, "LOSS", INCONCLUSIVE),
        ({"deep": "done"}, "DEEP", NOT_EXERCISED),
        ({"logits": 1e-3}, "SAME", REVERSED),
    ],
)
def test_other_numbers_give_another_word(tmp_path, sabotage, claim, word):
    assert words(write(tmp_path, **sabotage)) == {**TRUE, claim: word}


def test_what_is_missing_is_not_held_against_a_claim(tmp_path):
    write(tmp_path)
    for cell, row in records.load(tmp_path).iterrows():
        if row["seed.init"] == 0 or row[WIRING] == "pre":
            (records.cell_dir(tmp_path, cell) / "status.json").unlink()
    found = {one.claim.id: one for one in verdict.verdicts(tmp_path)}
    assert found["LOSS"].word == INCONCLUSIVE and "0 seeds with a number" in found["LOSS"].rule[0].reasons[0]
    assert any("6 of 10 seeds are missing" in line for line in found["LOSS"].lint)
    assert found["DEEP"].word == INCONCLUSIVE and found["SLOPE"].rule[0].word == HOLDS


def test_the_first_line_counts_and_every_format_says_all(workdir):
    expected = "5 claims: 4 HOLDS, 1 NOT EXERCISED"
    rich, md = verdict.render(workdir), verdict.render(workdir, "md")
    assert rich.splitlines()[0] == md.splitlines()[0] == expected
    for claim in CLAIMS:
        for text in (rich, md):
            assert claim.id in text and claim.source in text
    assert "paired: one-sided 95 % lower bound > 0.05" in rich and "at this size" in rich and "[red]y[/red]" in rich
    data = json.loads(verdict.render(workdir, "json"))
    assert [one["verdict"] for one in data] == list(TRUE.values()) and data[0]["rule"][0]["n"] == 5
    assert data[4]["effect"] is None and "num_layers=48" in data[4]["rule"][0]["reasons"][0]


def test_markdown_escapes_what_a_user_wrote(workdir):
    md = verdict.render(workdir, "md", claim="LOSS")
    assert "<b>" not in md and len([line for line in md.splitlines() if line.startswith("|")]) == 3
    (row,) = [line for line in md.splitlines() if line.startswith("| LOSS")]
    assert row.replace("\\|", "").count("|") == 8 and "| difference of val\\_loss | 5 |" in row


def test_one_claim_is_shown_alone_and_fits_a_terminal(workdir):
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(verdict.draw(verdict.pick(verdict.verdicts(workdir), "DEEP")))
    drawn = console.file.getvalue()
    assert drawn.startswith("1 claim: 1 HOLDS") and all(len(line) <= 80 for line in drawn.splitlines())
    assert "5/5 train, 0/5 are stuck" in drawn and "check" in drawn
    assert "share of seeds" in drawn and "(C)" in drawn


@pytest.mark.parametrize(("arguments", "meant"), [({"format": "jsn"}, "json"), ({"claim": "LOS"}, "LOSS")])
def test_mistakes_are_one_line(workdir, arguments, meant):
    with pytest.raises(UserError, match=f"did you mean {meant}") as error:
        verdict.render(workdir, **arguments)
    assert len(error.value.problems) == 1


def test_the_command_needs_claims_and_no_jax(tmp_path):
    write(tmp_path, claims=[])
    code = "import sys\nfrom experiments import command, verdict\n"
    code += "sys.exit(3) if {'jax', 'flax'} & set(sys.modules) else command.run(verdict.main)"
    command = [sys.executable, "-c", code, f"--workdir={tmp_path}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 2 and not made.stdout and "get_claims()" in made.stderr
    assert len(made.stderr.splitlines()) == 1
