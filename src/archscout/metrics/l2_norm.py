"""The norm of the weights: a baseline that reads neither text nor gradients."""

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
    """Σ ‖W‖₂ over the weights of all linear maps, the Frobenius norm of each.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> l2_norm(Trace(0, torch.zeros(1, 1), weights=[torch.tensor([[3.0, 4.0]]), torch.eye(1)]))
        6.0
    """
    return math.fsum(weight.norm().item() for weight in trace.weights)
