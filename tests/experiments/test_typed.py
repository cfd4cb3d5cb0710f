"""Types of what a sweep file declares."""

import pytest

from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.paper import Paper
from experiments.table_spec import Table
from experiments.typed import mistyped
from tests.experiments import published

GOOD = Panel("val_loss")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (Figure((GOOD,), lines="arm"), "x.lines = 'arm': expected a tuple of str; did you mean ('arm',)?"),
        (Figure(GOOD), "x.panels = Panel: expected a tuple of Panel; did you mean (Panel,)?"),
        (Figure("panels"), "x.panels = 'panels': expected a tuple of Panel"),
        (Figure((GOOD,), columns=True), "x.columns = True: expected int"),
        (Figure((GOOD, Panel(3))), "x.panels[1].y = 3: expected str"),
        (Figure((GOOD,), labels=["a"]), "x.labels = ['a']: expected a dict of str"),
        (Table(("arm",), baseline="pre"), "x.baseline = 'pre': expected a dict or None"),
        (Table(("arm",), columns_of=(Column("val_loss", at="pre"),)), "x.columns_of[0].at = 'pre': expected a dict"),
        (Table(("arm",), paper=Paper("t", 5, (), {})), "x.paper.source = 5: expected str"),
    ],
)
def test_what_is_of_another_type_is_a_line(declared, expected):
    assert list(mistyped(declared, "x")) == [expected]


@pytest.mark.parametrize(
    "declared", [Figure([GOOD], ["arm"]), Figure((Panel("stream", shown=(0, 1e3)),)), published.MAIN, published.UPDATES]
)
def test_lists_are_tuples_and_integers_are_floats(declared):
    assert not list(mistyped(declared, "x"))
