"""Head confidence: how far the largest value of a projection stands out over positions.

Sources: Voita et al. 2019, "Analyzing multi-head self-attention"; Serianni and Kalita 2023,
section 5.1.
"""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"projections"},
    larger_is_better=True,
    source="Voita et al. 2019, section 4.1; Serianni and Kalita 2023, section 5.1",
    undefined="projections are not finite",
    kind="transformer",
    normalized=True,
)
def head_confidence(trace: Trace) -> list[float]:
    """Mean over inputs and features of the largest value over positions, of each projection.

    Of the projections' outputs (T, B, columns), by layer.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> query = torch.tensor([[1.0, 2.0], [3.0, 0.0]])[:, None]  # (T, B, columns) of 2, 1, 2
        >>> head_confidence(Trace(0, torch.zeros(2, 1), projections=[query]))
        [2.5]
    """
    return [float(outputs.amax(0).mean()) for outputs in trace.projections]
