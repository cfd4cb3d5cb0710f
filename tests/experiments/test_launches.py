"""What a launch says that it has run."""

from experiments import launches, records

ENDED = {"status": "done", "step": 1, "reason": None, "seconds": 1.0, "finished": "now"}


def end(workdir, cell):
    records.write_result(workdir, cell, None, None, {}, ENDED)


def test_a_result_counts_that_was_written_as_the_interruption_came(tmp_path):
    watch = launches.Watch(tmp_path, {"p": ["a", "b", "c"], "q": ["d"]})
    end(tmp_path, "a")  # by another launch
    watch.note({"event": "program", "program": "p", "cells": 2, "lane": 0})
    end(tmp_path, "b")  # of which no event was read
    end(tmp_path, "d")  # of a program that another launch has
    assert watch.ended() == {"b"}


def test_what_a_lost_lane_left_may_be_run_by_others(tmp_path):
    watch = launches.Watch(tmp_path, {"p": ["a", "b"]})
    watch.note({"event": "program", "program": "p", "cells": 2, "lane": 0})
    watch.note({"event": "cell", "cell": "a", "lane": 0})
    watch.note({"event": "retry", "program": "p", "cells": 1, "reason": "lane died", "lane": 0})
    end(tmp_path, "a")
    end(tmp_path, "b")
    assert watch.ended() == {"a"}
