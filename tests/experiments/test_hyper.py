"""The algebra of sweeps."""

import pytest

from experiments import hyper
from flax_tx.errors import UserError

A, B = hyper.sweep("a", [1, 2]), hyper.sweep("b", [3, 4, 5])


def test_product_has_every_combination_last_axis_fastest():
    cells = hyper.product([A, B])
    assert [(cell["a"], cell["b"]) for cell in cells] == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]


def test_zipit_goes_in_step_and_repeats_single_values():
    assert hyper.zipit([A, hyper.fixed("c", 9), hyper.sweep("d", [7, 8])]) == [
        {"a": 1, "c": 9, "d": 7},
        {"a": 2, "c": 9, "d": 8},
    ]


def test_zipit_refuses_unequal_lengths():
    with pytest.raises(UserError, match="expected axes of 3 values, got one of 2"):
        hyper.zipit([A, B])


def test_chainit_appends():
    assert hyper.chainit([A, B]) == A + B


@pytest.mark.parametrize("combine", [hyper.product, hyper.zipit])
def test_a_field_set_twice_is_refused(combine):
    with pytest.raises(UserError, match="a set by two axes"):
        combine([A, hyper.sweep("a", [5, 6])])


def test_product_of_nothing_is_one_cell():
    assert hyper.product([]) == [{}]


def test_seeds_are_the_two_seeds_in_step():
    in_step = hyper.zipit([hyper.sweep("seed.init", range(3)), hyper.sweep("seed.data", range(3))])
    assert hyper.seeds(3) == in_step
