"""Every number that a table, a claim or a figure can name: METRICS, and `column`, which makes one for many cells."""

from experiments.metrics.catalogue import METRICS
from experiments.metrics.cells import column, columns
from experiments.metrics.metric import Metric

__all__ = ["METRICS", "Metric", "column", "columns"]
