"""Width: a baseline to beat, for which neither weights nor text are needed."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(needs={"width"}, larger_is_better=True, source="White et al. 2022, as a baseline")
def width(trace: Trace) -> float:
    """Hidden size of a transformer, mean outputs of any module's linear maps, or units of a cell.

    Of a recurrent network it is hidden states times the units of the widest layer.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> width(Trace(0, torch.zeros(1, 1), width=256))
        256
    """
    return trace.width
