"""Training-free metrics: the trace, the registry, and one file for each idea."""

from archscout.metrics import (  # noqa: F401  (importing a metric's file registers it)
    activation_distance,
    heads,
    hidden_covariance,
    jacobian,
    l2_norm,
    parameters,
    saliency,
    synaptic_diversity,
)
from archscout.metrics.registry import (
    Metric,
    Request,
    available,
    load_file,
    metric,
    registered,
    request,
)
from archscout.metrics.trace import OBJECTIVES, Objective, Trace, WeightGradient, trace

__all__ = [
    "OBJECTIVES",
    "Metric",
    "Objective",
    "Request",
    "Trace",
    "WeightGradient",
    "available",
    "load_file",
    "metric",
    "registered",
    "request",
    "trace",
]
