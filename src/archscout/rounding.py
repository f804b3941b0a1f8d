"""What rounding leaves of numbers that are equal: the bound below which a metric sees none.

A metric that divides by a spread or a difference, or takes its logarithm, must not take for one
what processors make of numbers that are the same: products of one row and of several differ in
their last digits on some, and so do sums in another order.

Source: Higham and Mary 2019, "A new approach to probabilistic rounding error analysis", theorem
2.4: the error of a sum of n products grows as √n, not as n.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

Size = TypeVar("Size", float, Tensor)

REPRODUCIBLE_DIGITS = 4
"""Significant digits of a score that are the same on all kinds of processors, for most networks."""

# Units in the last place that the few operations behind a number leave.
_UNITS = 4


def rounding(size: Size, dtype: torch.dtype, terms: int = 1) -> Size:
    """The error of numbers of this size that were computed in this format.

    Args:
        size: of the terms that were added up, not of what is left of them.
        dtype: in which they were; a copy in a finer format is no more exact.
        terms: how many were added up.

    Example:
        >>> rounding(1.0, torch.float32) == 4 * 2**-23
        True
    """
    return size * (_UNITS * torch.finfo(dtype).eps * math.sqrt(terms))


def reproducible(value: float) -> float:
    """A score without the digits that differ between processors, for comparing it with others.

    Example:
        >>> reproducible(0.0847218), reproducible(-1234567.0)
        (0.08472, -1235000.0)
    """
    return float(f"{value:.{REPRODUCIBLE_DIGITS}g}")
