"""Depth times width: baselines to beat, for which neither weights nor text are needed.

The number of layers, squared, times the hidden size orders the published encoders by their GLUE
scores better than any published metric.
"""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace

_of_sizes = metric(
    needs={"depth", "width"}, larger_is_better=True, source="White et al. 2022, as a baseline"
)


@_of_sizes
def depth_times_width(trace: Trace) -> float:
    """Depth times width.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> trace = Trace(0, torch.zeros(1, 1), depth=4, width=256)
        >>> depth_times_width(trace), depth_squared_times_width(trace)
        (1024, 4096)
    """
    return trace.depth * trace.width


@_of_sizes
def depth_squared_times_width(trace: Trace) -> float:
    """Depth squared times width."""
    return trace.depth**2 * trace.width
