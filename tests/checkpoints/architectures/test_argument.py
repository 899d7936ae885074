import pytest

from keras_sam.checkpoints.architectures.argument import (
    SIZE,
    integer,
    integers,
    is_activation,
    is_bool,
    is_epsilon,
    is_index_list,
)


@pytest.mark.parametrize("value", [1, 2**16])
def test_sizes(value):
    assert SIZE(value)


@pytest.mark.parametrize("value", [0, -1, 2**16 + 1, 10**400, True, 1.0, "1", None, [1]])
def test_other_values_are_not_sizes(value):
    assert not SIZE(value)


def test_bounds_are_inclusive():
    check = integer(2, 4)
    assert [value for value in range(7) if check(value)] == [2, 3, 4]


@pytest.mark.parametrize(("value", "is_valid"), [([1, 2], True), ((1, 2), True), ([1], False)])
def test_integer_lists_have_a_length(value, is_valid):
    assert integers(2)(value) is is_valid


@pytest.mark.parametrize("value", [[1, 0], [1, 5], [1, True], [1, 2.0], "12", None, {1: 2, 2: 3}])
def test_other_values_are_not_integer_lists(value):
    assert not integers(2, high=4)(value)


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [([], True), ([0, 3], True), ([-1], False), (list(range(513)), False), (3, False)],
)
def test_index_lists(value, is_valid):
    assert is_index_list(value) is is_valid


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [(0, True), (1e-6, True), (1, False), (-1e-6, False), (float("nan"), False), (True, False)],
)
def test_epsilons(value, is_valid):
    assert is_epsilon(value) is is_valid


def test_truth_values_and_activations():
    assert is_bool(False)
    assert not is_bool(0)
    assert is_activation("gelu")
    assert not is_activation("import os")
    assert not is_activation(None)
