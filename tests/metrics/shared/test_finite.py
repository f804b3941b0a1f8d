"""Whether numbers are numbers."""

import math

import pytest
import torch

from archscout.metrics.shared.finite import is_finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_that_is_not_finite_is_found_among_many(value: float) -> None:
    numbers = torch.randn(40, 50)
    assert is_finite(numbers)
    numbers[17, 23] = value
    assert not is_finite(numbers)
    numbers[3, 4] = -value
    assert not is_finite(numbers)


def test_a_sum_that_overflows_is_of_finite_numbers() -> None:
    assert is_finite(torch.full((3,), 3e38))


def test_no_numbers_are_finite() -> None:
    assert is_finite(torch.empty(0, 4))
