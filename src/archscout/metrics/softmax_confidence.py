"""Softmax confidence: how sure the heads are (Serianni and Kalita 2023, section 5.1)."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"softmaxes"},
    larger_is_better=True,
    source="Serianni and Kalita 2023, section 5.1",
    undefined="attention is not finite",
    kind="transformer",
    normalized=True,
)
def softmax_confidence(trace: Trace) -> list[float]:
    """Mean of the largest probability over heads, of each layer.

    Of attention's probabilities (B, heads, T, T), or, for a linear transform, of the softmax of its
    output over the features of a head.

    Examples:
        Two heads, of which the first is sure of one position each, the second of none.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> heads = torch.stack([torch.eye(2), torch.full((2, 2), 0.5)])[None]
        >>> softmax_confidence(Trace(0, torch.zeros(2, 1), softmaxes=[heads]))
        [0.75]
    """
    return [float(probabilities.amax(1).mean()) for probabilities in trace.softmaxes]
