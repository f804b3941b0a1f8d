"""The norm of the gradient: a baseline of Abdelfattah et al. 2021."""

from __future__ import annotations

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Abdelfattah et al. 2021, section 3.1",
    undefined="gradients of weights are not finite",
)
def gradient_norm(trace: Trace) -> float:
    """Σ ‖∂W‖₂ over the weights of all linear maps, the Frobenius norm of each gradient."""
    return sum(float(w.gradient.double().norm()) for w in trace.weight_gradients)
