"""Input that nobody meant: a share of what `make faults` tries, and that the trial itself sees what it looks for."""

import random
import time
from pathlib import Path

import pytest

from faults import fuzz
from faults.attempt import PATIENCE, attempt
from faults.commands import actions_of, commands
from faults.range import Range
from flax_tx.errors import UserError


def test_no_traceback_answers_what_nobody_meant():
    assert fuzz.fuzz(80, seed=1) == {}


def test_every_command_is_found_with_its_flags():
    mains = commands()
    assert {"launch", "status", "table", "verdict", "figure", "compare", "publish", "check", "rerun"} <= mains.keys()
    for name, main in mains.items():
        assert "--workdir" in [flag for action in actions_of(main) for flag in action.option_strings], name


def test_a_command_that_serves_ends_at_once(tmp_path):
    place = Range(tmp_path)
    began = time.monotonic()
    assert attempt(commands()["watch"], [f"--workdir={place.workdirs[0]}", "--port=0"], place) == ""
    assert time.monotonic() - began < PATIENCE / 4


def leave(argv):
    Path("left.txt").write_text("x")
    raise UserError("wrong")


def fail(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "said"),
    [
        (lambda argv: 0, ""),
        (fail(UserError("x = 3: expected 2")), ""),
        (fail(OSError(28, "No space left on device")), ""),
        (fail(KeyError("a")), "KeyError at test_fuzz.py"),
        (fail(SystemExit(3)), "SystemExit(3)"),
        (fail(UserError([])), "lines that are none"),
        (fail(UserError(" ")), "lines that are none"),
        (leave, "left ['left.txt'] behind"),
    ],
)
def test_a_trial_says_how_a_command_ends_that_should_not(tmp_path, main, said):
    found = attempt(main, [], Range(tmp_path))
    assert found.startswith(said) and bool(found) == bool(said)


def test_a_line_that_leads_out_of_the_folder_is_not_tried(tmp_path):
    place = Range(tmp_path)
    assert place.stays([f"--workdir={tmp_path}/run", "--out=a.png", "x"])
    assert not any(map(place.stays, (["/etc"], ["--to=/etc"], ["../x"], ["--out=a/../../x"], ["~"])))


def test_a_spoilt_record_differs_in_one_place():
    content, changed = {"a": [1, {"b": 2}], "c": 3}, 0
    for seed in range(50):
        spoilt = fuzz.spoil(content, random.Random(seed), "new")
        changed += spoilt != content
    assert changed == 50 and content == {"a": [1, {"b": 2}], "c": 3}
