"""SynFlow: how much flows through the magnitudes of the weights.

Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving
synaptic flow", equation 4; as a metric of architectures Abdelfattah et al. 2021.
"""

import math

import torch

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace

_SOURCE = "Tanaka et al. 2020, equation 4; Abdelfattah et al. 2021, section 3.2"


def _flows(trace: Trace) -> list[float]:
    """Of each linear map, Σ | |θ| ∂R/∂|θ| |."""
    return [
        float((w.weight * w.gradient).abs().sum(dtype=torch.float64)) for w in trace.synaptic_flow
    ]


@metric(
    needs={"synaptic_flow"},
    larger_is_better=True,
    source=_SOURCE,
    undefined="products of the weights leave the range of numbers",
)
def synflow(trace: Trace) -> float:
    """Σ |θ| ∂R/∂|θ| over the weights θ of all linear maps.

    R is the sum of the output of the network of magnitudes |θ|, without normalisation, at
    embeddings of ones: no text is read. Normalisation is also a softmax, which weighs all that it
    is given alike: so do equal positions, while of unequal ones the scores would grow until their
    rounding decides. Where a network is not made of products and sums of positive numbers alone
    (transforms), terms may be negative; their magnitudes count, as in both sources' code.

    Examples:
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
        >>> map_ = WeightGradient(weight, gradient)
        >>> trace = Trace(0, torch.zeros(1, 1), synaptic_flow=[map_, map_])
        >>> synflow(trace), round(synflow_logarithmic(trace), 4)  # 2 · 11 and 2 log 12
        (22.0, 4.9698)
    """
    return sum(trace.once(_flows, "", trace))


@metric(
    needs={"synaptic_flow"},
    larger_is_better=True,
    source=f"{_SOURCE}; Cavagnero et al. 2023 for the logarithm, which they take of ∂R/∂|θ|",
    undefined="products of the weights leave the range of numbers",
)
def synflow_logarithmic(trace: Trace) -> float:
    """Σ over linear maps of log(1 + the map's part of `synflow`).

    Flow grows as a product over layers, its logarithm as their sum. One is added for maps through
    which nothing flows: queries and keys, which only say where attention looks.
    """
    return sum(math.log1p(flow) for flow in trace.once(_flows, "", trace))
