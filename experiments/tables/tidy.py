"""The table as data: one line per arm, one number per column; the CSV, and what a notebook wants."""

from typing import Any

import pandas as pd

from experiments.labels import say
from experiments.statistics import wilson
from experiments.tables.arms import BAD, Arm, Report


def tidy(report: Report) -> pd.DataFrame:
    """One row per arm. NaN: not known, or not applicable.

    Columns: the fields of split, rows and columns; metric, mean, sd, low, high (95 % t interval), n; best.<nuisance>,
    edge.<nuisance>; planned, done, stuck, diverged, failed, missing, bad_low, bad_high (95 % Wilson interval of the
    share of bad seeds); baseline, difference, difference_low, difference_high, pairs, p, p_holm, verdict; cells.
    """
    return pd.DataFrame([_line(arm, report) for arm in report.arms.values()])


def csv(report: Report) -> str:
    """`tidy` as CSV."""
    return tidy(report).to_csv(index=False)


def _line(arm: Arm, report: Report) -> dict[str, Any]:
    spec, shown, counts = report.spec, arm.estimate, arm.counts
    fields, place = (*spec.split, *spec.rows, *spec.columns), (*arm.place.split, *arm.place.row, *arm.place.column)
    low, high = wilson(arm.bad, arm.planned - counts["missing"])
    return {
        **{name: say(v) if v is None or isinstance(v, tuple) else v for name, v in zip(fields, place, strict=True)},
        **{
            "metric": report.metric,
            "mean": shown.mean,
            "sd": shown.sd,
            "low": shown.low,
            "high": shown.high,
            "n": shown.n,
        },
        **{f"best.{name}": value for name, value in zip(spec.nuisance, arm.choice.value, strict=True)},
        **{f"edge.{name}": edge for name, edge in zip(spec.nuisance, arm.choice.edge, strict=True)},
        **{"planned": arm.planned, **{status: counts[status] for status in ("done", *BAD, "missing")}},
        **{"bad_low": low, "bad_high": high},
        **_compared(arm),
        "cells": ";".join(trial.cell for trial in arm.trials.values()),
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
