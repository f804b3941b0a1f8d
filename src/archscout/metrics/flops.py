"""The cost of a forward pass: a baseline to beat, for which neither weights nor text are needed."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(needs={"flops"}, larger_is_better=True, source="White et al. 2022, as a baseline")
def flops(trace: Trace) -> float:
    """Floating-point operations per token of one forward pass.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> flops(Trace(0, torch.zeros(1, 1), flops=1000))
        1000
    """
    return trace.flops
