"""Synaptic diversity (Zhou et al. 2022, "Training-free Transformer Architecture Search")."""

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.finite import is_finite
from archscout.tracing.quantities import Trace


def nuclear_norm(matrix: Tensor) -> float:
    """Sum of the singular values of a matrix; NaN where it is not finite."""
    if not is_finite(matrix):
        return float("nan")
    return float(torch.linalg.svdvals(matrix).sum(dtype=torch.float64))


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Zhou et al. 2022, equation 4; Serianni and Kalita 2023, section 5.1",
    undefined="weights or their gradients are not finite",
    kind="transformer",
    normalized=True,
)
def synaptic_diversity(trace: Trace) -> list[float]:
    """Nuclear norm of a weight times that of its gradient, over the mixing blocks' linear maps.

    These are the operation's projections, a convolution's kernel and input layers, and the output
    projection.

    Examples:
        A weight of singular values 1 and 1, a gradient of 2 and 1.

        >>> from archscout.tracing import Trace, WeightGradient
        >>> gradient = torch.diag(torch.tensor([2.0, 1.0]))
        >>> query = WeightGradient(torch.eye(2), gradient, role="query")
        >>> synaptic_diversity(Trace(0, torch.zeros(1, 1), weight_gradients=[query]))
        [6.0]
    """
    return [
        nuclear_norm(w.weight) * nuclear_norm(w.gradient)
        for w in trace.weight_gradients
        if w.role != "feed_forward"
    ]
