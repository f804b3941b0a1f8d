"""Saliency: how much a value's gradient says that the objective hangs on it.

Sources: Lee et al. 2019, "SNIP: single-shot network pruning based on connection sensitivity",
equation 4; Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS".
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from archscout.tracing.quantities import WeightGradient


def absolute_product(value: Tensor, gradient: Tensor) -> float:
    """Sum of |value * gradient|, its rows' sums accumulated in float64."""
    # To add all of it up in float64 would take longer than the product.
    return float((value * gradient).abs_().sum(-1).sum(dtype=torch.float64))


def saliency_of_weights(weights: Iterable[WeightGradient]) -> float:
    """Sum of |weight * gradient| over these weights."""
    return sum(absolute_product(w.weight, w.gradient) for w in weights)
