"""The norm of the weights: a baseline that reads neither text nor gradients."""

from __future__ import annotations

import math

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"weights"},
    larger_is_better=True,
    source="Abdelfattah et al. 2021, as a baseline",
    undefined="a weight is not finite",
)
def l2_norm(trace: Trace) -> float:
    """Σ ‖W‖₂ over the weights of all linear maps, the Frobenius norm of each."""
    return math.fsum(weight.norm().item() for weight in trace.weights)
