"""Weights times their gradients, signs and all.

Source: Mozer and Smolensky 1989, "Skeletonization"; as a metric of architectures Abdelfattah et al.
2021, "Zero-cost proxies for lightweight NAS".
"""

import math

import torch

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Mozer and Smolensky 1989; Abdelfattah et al. 2021, as a baseline",
    undefined="weights or their gradients are not finite",
)
def plain(trace: Trace) -> float:
    """Σ weight * gradient over the weights of all linear maps.

    As `snip`, but terms of different signs cancel.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> map_ = WeightGradient(weight, gradient)
        >>> plain(Trace(0, torch.zeros(1, 1), weight_gradients=[map_]))
        -5.0
    """
    sums = [float((w.weight * w.gradient).sum(dtype=torch.float64)) for w in trace.weight_gradients]
    return math.fsum(sums) if all(map(math.isfinite, sums)) else math.nan
