"""Whether the numbers that a metric reads are numbers at all."""

import math

import torch
from torch import Tensor


def is_finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is finite.

    Examples:
        >>> is_finite(torch.tensor([1.0, -1e38])), is_finite(torch.tensor([0.0, torch.nan]))
        (True, False)
    """
    # Where one is not, neither is the sum, which takes a small part of the time; it may overflow.
    return math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all())
