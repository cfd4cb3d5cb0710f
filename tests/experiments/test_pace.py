"""What remains of a launch, of events whose seconds are known."""

import pytest

from experiments import pace, plan, sweep_file
from tests.experiments import tiny

COMPILE, CHUNK, CHUNKS = 7.0, 2.0, 3  # 12 steps in chunks of 5


@pytest.fixture
def made(tmp_path):
    """8 equal cells in two programs."""
    return plan.make(sweep_file.read(tiny.write(tmp_path)), {})


@pytest.fixture
def clock(monkeypatch):
    """The seconds that pass."""
    now = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def step(cell, step, tokens):
    return {"event": "progress", "cell": cell, "step": step, "steps": 12, "tokens": tokens, "lane": 0}


def events(made):
    """(seconds, event) of one lane, in order: a step takes CHUNK / 5, whatever the program."""
    for name, cells in made.programs.items():
        yield 0.0, {"event": "program", "program": name, "cells": len(cells), "lane": 0}
        yield COMPILE, {"event": "compiled", "seconds": 6.0, "lane": 0}
        for cell in cells:
            for end, steps in ((5, 5), (10, 5), (12, 2)):
                yield CHUNK * steps / 5, step(cell, end, steps * 32)
            yield 0.0, {"event": "cell", "cell": cell, "status": "done", "lane": 0}


def test_one_timed_chunk_tells_what_remains_to_the_second(made, clock):
    timed, known = list(events(made)), pace.Pace(made, made.cells)
    total, passed, told = sum(seconds for seconds, _ in timed), 0.0, 0
    for seconds, event in timed:
        clock[0] += seconds
        passed += seconds
        known.note(event)
        if (remaining := known.remaining()) is not None:
            told += 1
            assert remaining == pytest.approx(total - passed, abs=1e-6), event
        else:
            assert passed <= COMPILE
    assert told == len(timed) - 2 and known.eta() == "ETA 0:00"


def test_two_lanes_need_half_the_time(made, clock):
    known = pace.Pace(made, made.cells)
    for lane, (name, cells) in enumerate(made.programs.items()):
        known.note({"event": "program", "program": name, "cells": len(cells), "lane": lane})
    clock[0] += COMPILE
    for lane in range(2):
        known.note({"event": "compiled", "seconds": 6.0, "lane": lane})
    clock[0] += CHUNK
    for lane, cells in enumerate(made.programs.values()):
        known.note(step(cells[0], 5, 160) | {"lane": lane})
    assert known.remaining() == pytest.approx(4 * 12 / 5 * CHUNK - CHUNK)


def test_what_was_not_trained_here_says_nothing_of_the_pace(made, clock):
    known, (name, cells) = pace.Pace(made, made.cells), next(iter(made.programs.items()))
    known.note({"event": "program", "program": name, "cells": len(cells), "lane": 0})
    known.note({"event": "compiled", "seconds": 0.0, "lane": 0})
    known.note({"event": "found", "cell": cells[1], "lane": None})
    clock[0] += CHUNK
    known.note(step(cells[0], 10, 160))  # its first five steps were in a checkpoint
    left = 6 * 12 + 2  # steps
    assert known.remaining() == pytest.approx(left * CHUNK / 5)
    known.note({"event": "cell", "cell": cells[0], "status": "diverged", "lane": 0})
    assert known.remaining() == pytest.approx((left - 2) * CHUNK / 5)
