"""The number of parameters: the baseline that every metric must beat."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(needs={"parameters"}, larger_is_better=True, source="Serianni and Kalita 2023, section 6")
def parameters(trace: Trace) -> float:
    """Number of parameters, tied ones once.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> parameters(Trace(1000, torch.zeros(1, 1)))
        1000
    """
    return trace.parameters
