"""Depth: a baseline to beat, for which neither weights nor text are needed."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(needs={"depth"}, larger_is_better=True, source="White et al. 2022, as a baseline")
def depth(trace: Trace) -> float:
    """Number of layers of a transformer, linear maps of any module, or nodes of a recurrent cell.

    Of a recurrent network it is layers times the nodes on the longest path through a step.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> depth(Trace(0, torch.zeros(1, 1), depth=4))
        4
    """
    return trace.depth
