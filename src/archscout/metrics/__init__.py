"""Training-free metrics: the trace, the registry, and one file for each idea."""

from archscout.metrics import (  # noqa: F401  (importing a metric's file registers it)
    activation_distance,
    hidden_covariance,
    jacobian,
    parameters,
    saliency,
)
from archscout.metrics.registry import Metric, Request, available, metric, request
from archscout.metrics.trace import Trace, WeightGradient, trace

__all__ = [
    "Metric",
    "Request",
    "Trace",
    "WeightGradient",
    "available",
    "metric",
    "request",
    "trace",
]
