"""Every metric by its key."""

from experiments.metrics.curves import CURVES
from experiments.metrics.layers import LAYERS
from experiments.metrics.metric import Metric
from experiments.metrics.probes import PROBES
from experiments.metrics.summary import SUMMARY

METRICS: dict[str, Metric] = {**SUMMARY, **CURVES, **LAYERS, **PROBES}
