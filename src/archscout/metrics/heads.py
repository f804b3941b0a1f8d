"""How much a transformer's heads matter, and how sure they are.

Sources: Michel et al. 2019, "Are sixteen heads really better than one?" (importance); Voita et al.
2019, "Analyzing multi-head self-attention" (confidence); Serianni and Kalita 2023, section 5.1.
"""

from __future__ import annotations

from archscout.metrics.registry import metric
from archscout.metrics.saliency import absolute_product
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
    """
    return [
        absolute_product(w.weight, w.gradient)
        for w in trace.weight_gradients
        if w.role in _IMPORTANT
    ]


@metric(
    needs={"projections"},
    larger_is_better=True,
    source="Voita et al. 2019, section 4.1; Serianni and Kalita 2023, section 5.1",
    undefined="projections are not finite",
    kind="transformer",
    normalized=True,
)
def head_confidence(trace: Trace) -> list[float]:
    """Mean over inputs and features of the largest value over positions, of each projection."""
    return [float(outputs.amax(0).mean()) for outputs in trace.projections]


@metric(
    needs={"softmaxes"},
    larger_is_better=True,
    source="Serianni and Kalita 2023, section 5.1",
    undefined="attention is not finite",
    kind="transformer",
    normalized=True,
)
def softmax_confidence(trace: Trace) -> list[float]:
    """Mean of the largest probability over heads, of each layer.

    Of attention's probabilities, or, for a linear transform, of the softmax of its output over the
    features of a head.
    """
    return [float(probabilities.amax(1).mean()) for probabilities in trace.softmaxes]
