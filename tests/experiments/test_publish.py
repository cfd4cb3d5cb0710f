"""Published results: all from the records, the same bytes again, every claim with its verdict and its reasons."""

import json

import pytest

from experiments import overview, publish, records
from experiments.claims import Claim, Fails, Greater, Quantity, Trains
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from flax_tx.errors import UserError
from tests.experiments import synthetic

WIRING, DEPTH = "model.wiring", "model.num_layers"
TABLE = Table((WIRING,), (DEPTH,), nuisance=("optim.learning_rate",), seeds=("seed.init", "seed.data"))


def loss(wiring):
    return Quantity("val_loss", {WIRING: wiring, DEPTH: 12})


CLAIMS = (
    Claim("A-1", "Post-LN fails at depth 24", "Liu 2020", "training", (Fails({WIRING: "post", DEPTH: 24}),)),
    Claim(
        "A-2", "Pre-LN is worse", "Nobody | 1999", "training", (Greater(loss("pre"), loss("post")),), caveat="Small."
    ),
    Claim("A-3", "At depth 96", "Ours", "init", (Trains({WIRING: "pre", DEPTH: 96}),)),
)


def end_of(overrides):
    return "stuck" if overrides[WIRING] == "post" and overrides[DEPTH] == 24 else "done"


def write(folder, name="claimed", claims=CLAIMS, size="quick"):
    """A sweep with claims and a figure."""
    grid = {"wirings": ("post", "pre"), "norms": ("layernorm",), "depths": (12, 24), "rates": (1e-3,)}
    synthetic.write(folder, **grid, seeds=(0, 1, 2, 3, 4), steps=6, table=TABLE, end_of=end_of, name=name)
    drawn = Figure((Panel("val_loss", DEPTH),)).to_json() if claims else None
    manifest = records.sweep(folder) | {"size": size, "claims": [claim.to_json() for claim in claims], "figure": drawn}
    records.write_json(folder / "sweep.json", manifest)
    return folder


def launched(folder, seconds, at):
    """A launch that took so long."""
    about = {"command": "c", "size": "quick", "seconds": seconds, "cells_run": 10, "git": {"commit": at * 40}}
    about |= {"started": "2026-11-22T12:00:00+00:00", "lanes": 2, "interrupted": False}
    records.write_json(folder / "launches" / f"{at}.json", about)


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(workdir, results) of a sweep that took two launches."""
    folder = tmp_path_factory.mktemp("publish")
    workdir, to = write(folder / "run"), folder / "results"
    launched(workdir, 100.0, "a")
    launched(workdir, 44.5, "b")
    publish.publish(workdir, to)
    return workdir, to


def test_a_folder_per_sweep_and_a_page_over_all(published):
    _, to = published
    names = {"table.md", "table.tex", "verdicts.md", "verdicts.json", "figure.png", "run.json"}
    assert {path.name for path in (to / "claimed").iterdir()} == names
    assert (to / "claimed" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_records_give_the_same_bytes(published):
    workdir, to = published
    before = bytes_of(to)
    publish.publish(workdir, to)
    assert bytes_of(to) == before


def test_run_json_sums_launches_and_counts_cells(published):
    run = json.loads((published[1] / "claimed" / "run.json").read_text())
    assert (run["wall_seconds"], run["launches"], run["size"]) == (144.5, 2, "quick")
    assert run["cells"] == {"done": 15, "stuck": 5}
    assert run["cell_seconds"] == 20 * 12.0
    assert run["commits"] == ["a" * 40, "b" * 40]


def test_every_claim_is_on_the_page_and_what_did_not_hold_says_why(published):
    page = (published[1] / "README.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| A-")]
    assert [line.split(" | ")[4] for line in rows] == ["HOLDS", "**REVERSED**", "**NOT EXERCISED**"]
    assert all(line.count(" | ") == len(overview.CLAIMS) - 1 for line in rows)
    assert r"Nobody \| 1999" in rows[1]
    missed = page.partition("## What did not reproduce")[2].partition("## Runs")[0]
    unasked = missed.partition("## What was not exercised")[2]
    assert "**A-3**" in unasked and "**A-2**" not in unasked
    assert " | share of seeds that are stuck or diverged | 5 | " in rows[0]
    assert " | difference of val\\_loss | 5 | " in rows[1]
    assert "**A-1**" not in missed
    assert "**A-2** REVERSED ([claimed](claimed/verdicts.md)): Pre-LN is worse" in missed
    assert "- caveat: Small." in missed
    assert "REVERSED: (val" in missed and "n = 5" in missed
    assert "- rule: NOT EXERCISED" in missed and "96" in missed
    assert "| all | 1 | 1 | 0 | 1 |" in page
    assert "2 min" in page.partition("## Runs")[2]


def test_notes_are_taken_over_and_survive(published):
    workdir, to = published
    notes = to / "claimed" / "notes.md"
    notes.write_text("By hand: *why*.\n")
    publish.publish(workdir, to)
    page = (to / "README.md").read_text()
    notes.unlink()
    assert "\n\nBy hand: *why*.\n" in page


def test_sweeps_stand_in_a_fixed_order_however_they_were_published(published, tmp_path):
    for name in ("zebra", "catalogue", "heads"):
        publish.publish(write(tmp_path / name, name, claims=()), tmp_path / "results")
    page = (tmp_path / "results" / "README.md").read_text()
    found = [line[4:] for line in page.splitlines() if line.startswith("### ")]
    assert found == ["heads", "catalogue", "zebra"]
    assert "## Claims" not in page
    assert not (tmp_path / "results" / "zebra" / "figure.png").exists()


def test_what_a_sweep_no_longer_has_goes(tmp_path):
    workdir, to = write(tmp_path / "run"), tmp_path / "results"
    publish.publish(workdir, to)
    records.write_json(workdir / "sweep.json", records.sweep(workdir) | {"claims": [], "figure": None})
    publish.publish(workdir, to)
    left = {path.name for path in (to / "claimed").iterdir()}
    assert not {"figure.png", "verdicts.md"} & left
    assert "A-1" not in (to / "README.md").read_text()


def test_a_folder_that_is_no_sweep_is_a_line_and_writes_nothing(tmp_path):
    with pytest.raises(UserError, match=r"expected a folder with sweep\.json"):
        publish.main([f"--workdir={tmp_path}", f"--to={tmp_path / 'results'}"])
    assert not (tmp_path / "results").exists()


def test_where_nothing_can_be_written_is_a_line(published, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write there"):
        publish.main([f"--workdir={published[0]}", f"--to={tmp_path / 'file' / 'results'}"])


def test_an_effect_without_an_interval_is_shown_alone():
    assert overview.numbers({"effect": 64.0, "low": None, "high": None}) == "64"
    assert overview.numbers({"effect": 0.5, "low": 0.25, "high": 0.75}) == "0.5 [0.25, 0.75]"
    assert not overview.numbers({"effect": None, "low": None, "high": None})
