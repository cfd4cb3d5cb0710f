"""The table as data: one line per arm, one number per column; the CSV, and what a notebook wants."""

from typing import Any

import pandas as pd

from experiments.labels import say
from experiments.records import ABSENT
from experiments.statistics import wilson
from experiments.tables.arms import BAD, Arm, Report
from experiments.tables.faces import title


def tidy(report: Report) -> pd.DataFrame:
    """One row per arm. NaN: not known, or not applicable.

    Columns: the fields of split, rows and columns; column (its heading, where columns are quantities); metric, mean,
    sd, low, high (95 % t interval), n; best.<nuisance>, edge.<nuisance>; planned, done, stuck, diverged, failed,
    no_number, missing, damaged, bad_low, bad_high (95 % Wilson interval of the share of bad seeds); baseline,
    difference, difference_low, difference_high, pairs, p, p_holm, verdict; cells.
    """
    return pd.DataFrame([_line(arm, report) for arm in report.arms.values()])


def csv(*reports: Report) -> str:
    """`tidy` as CSV; the arms of several tables under each other, with the title of theirs."""
    frames = [tidy(report) for report in reports]
    if len(reports) > 1:
        for frame, report in zip(frames, reports, strict=True):
            frame.insert(0, "table", title(report))
    return pd.concat(frames).to_csv(index=False)


def _line(arm: Arm, report: Report) -> dict[str, Any]:
    spec, shown, counts = report.spec, arm.estimate, arm.counts
    columns = ("column",) if spec.columns_of else spec.columns
    fields, place = (*spec.split, *spec.rows, *columns), (*arm.place.split, *arm.place.row, *arm.place.column)
    low, high = wilson(arm.bad, arm.planned - arm.absent)
    return {
        **{name: say(v) if v is None or isinstance(v, tuple) else v for name, v in zip(fields, place, strict=True)},
        **{
            "metric": arm.column.metric,
            "mean": shown.mean,
            "sd": shown.sd,
            "low": shown.low,
            "high": shown.high,
            "n": shown.n,
        },
        **{f"best.{name}": value for name, value in zip(spec.nuisance, arm.choice.value, strict=True)},
        **{f"edge.{name}": edge for name, edge in zip(spec.nuisance, arm.choice.edge, strict=True)},
        **{"planned": arm.planned, **{s.replace(" ", "_"): counts[s] for s in ("done", *BAD, *ABSENT)}},
        **{"bad_low": low, "bad_high": high},
        **_compared(arm),
        "cells": ";".join(cell for trial in arm.trials.values() for cell in trial.cells),
    }


def _compared(arm: Arm) -> dict[str, Any]:
    made = arm.comparison
    difference = made.difference if made else None
    return {
        "baseline": arm.is_baseline,
        "difference": difference and difference.mean,
        "difference_low": difference and difference.low,
        "difference_high": difference and difference.high,
        "pairs": difference and difference.n,
        "p": difference and difference.p,
        "p_holm": made and made.p_holm,
        "verdict": made and made.verdict,
    }
