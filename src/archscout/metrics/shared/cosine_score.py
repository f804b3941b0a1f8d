"""The score of the cosines between a matrix's rows.

Source: Celotti et al. 2020, "Improving zero-shot neural architecture search with parameters
scoring", section 3.
"""

import math

import torch
from torch import Tensor

from archscout.rounding import rounding


def cosine_score(rows: Tensor) -> float:
    """1 - sum(|C| ** (1/20)) / (2 * (n ** 2 - n)), C the cosines between n different rows.

    The diagonal of C is exactly zero, and so is what rounding may have made of rows at right
    angles: an error there would count 0.4 each.

    Args:
        rows: (n, columns).

    Returns:
        NaN for a single row, and where a row is zero or not finite.

    Examples:
        >>> cosine_score(torch.eye(3)), cosine_score(torch.ones(3, 3))
        (1.0, 0.5)
    """
    n = len(rows)
    if n < 2:
        return math.nan
    # Squares of exploding or vanishing gradients leave the range of float32.
    directions = rows.double()
    directions /= torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    cosines = directions @ directions.t()
    cosines.fill_diagonal_(0)
    cosines[cosines.abs() <= rounding(1.0, rows.dtype)] = 0
    return 1 - float(cosines.abs().pow(1 / 20).sum()) / (2 * (n * n - n))
