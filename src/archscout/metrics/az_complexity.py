"""AZ-NAS's complexity (Lee and Ham 2024), one of its four proxies."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(needs={"flops"}, larger_is_better=True, source="Lee and Ham 2024, section 3.2")
def az_complexity(trace: Trace) -> float:
    """Floating-point operations per token, `flops` by its name in the paper.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> az_complexity(Trace(0, torch.zeros(1, 1), flops=1000))
        1000
    """
    return trace.flops
