"""The norm of the gradient: a baseline of Abdelfattah et al. 2021."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Abdelfattah et al. 2021, section 3.1",
    undefined="gradients of weights are not finite",
)
def gradient_norm(trace: Trace) -> float:
    """Σ ‖∂W‖₂ over the weights of all linear maps, the Frobenius norm of each gradient.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> map_ = WeightGradient(weight, gradient)
        >>> gradient_norm(Trace(0, torch.zeros(1, 1), weight_gradients=[map_]))
        5.0
    """
    return sum(float(w.gradient.double().norm()) for w in trace.weight_gradients)
