"""Head importance: how much the objective hangs on the maps inside the mixing operations.

Sources: Michel et al. 2019, "Are sixteen heads really better than one?"; Serianni and Kalita 2023,
section 5.1.
"""

from archscout.metrics.registry import metric
from archscout.metrics.shared.absolute_product import absolute_product
from archscout.recording import PROJECTIONS
from archscout.tracing.quantities import Trace

_IMPORTANT = (*PROJECTIONS, "convolution_input")


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Michel et al. 2019, equation 2; Serianni and Kalita 2023, section 5.1",
    undefined="weights or their gradients are not finite",
    kind="transformer",
    normalized=True,
)
def head_importance(trace: Trace) -> list[float]:
    """Sum of |weight * gradient| of each linear map inside the mixing operations.

    These are the projections and a convolution's input layer, neither its kernel layer nor the
    output projection.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> maps = [WeightGradient(weight, gradient, role=role) for role in ("query", "output")]
        >>> head_importance(Trace(0, torch.zeros(1, 1), weight_gradients=maps))
        [11.0]
    """
    return [
        absolute_product(w.weight, w.gradient)
        for w in trace.weight_gradients
        if w.role in _IMPORTANT
    ]
