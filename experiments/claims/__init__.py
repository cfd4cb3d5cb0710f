"""A paper's claim as data, and its verdict from the records alone.

    slope = Quantity("update_sgd", {"model.wiring": "deepnorm"}, over="model.num_layers", fit="slope")
    Claim("DN-1", "the update of DeepNorm does not depend on depth", "Wang et al. 2022, theorem 4.2", "init",
          rule=(Within(slope, -0.12, 0.12),))

A condition is HOLDS, REVERSED or INCONCLUSIVE by the interval of its number over seeds (paired by seed where it
compares two), NOT EXERCISED where this size of the sweep has no such cells. A claim HOLDS when all of its rule does,
is REVERSED when one condition is, and NOT EXERCISED unless all of its manipulation check HOLDS.
"""

from experiments.claims.claim import CLAIM_KINDS, Claim, Verdict
from experiments.claims.condition import HOLDS, INCONCLUSIVE, NOT_EXERCISED, REVERSED, Condition, Finding
from experiments.claims.exact import Every, Same
from experiments.claims.failures import Fails, MoreFailures, Trains
from experiments.claims.intervals import Above, Below, Equivalent, Greater, Within
from experiments.claims.logic import All, Any, Not
from experiments.claims.orders import Drift, LessDrift, Order
from experiments.claims.problems import problems
from experiments.quantity import Quantity

__all__ = [
    "CLAIM_KINDS",
    "HOLDS",
    "INCONCLUSIVE",
    "NOT_EXERCISED",
    "REVERSED",
    "Above",
    "All",
    "Any",
    "Below",
    "Claim",
    "Condition",
    "Drift",
    "Equivalent",
    "Every",
    "Fails",
    "Finding",
    "Greater",
    "LessDrift",
    "MoreFailures",
    "Not",
    "Order",
    "Quantity",
    "Same",
    "Trains",
    "Verdict",
    "Within",
    "problems",
]
