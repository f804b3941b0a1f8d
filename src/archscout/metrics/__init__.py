"""Training-free metrics: the trace, the registry, and one file for each idea."""

from archscout.metrics import (  # noqa: F401  (importing a metric's file registers it)
    activation_distance,
    az_nas,
    combined_memory,
    fisher,
    gradient_norm,
    grasp,
    heads,
    hidden_covariance,
    jacobian,
    l2_norm,
    linear_memory,
    lpzero,
    meco,
    naswot,
    ntk,
    parameters,
    plain,
    saliency,
    size,
    snip,
    synaptic_diversity,
    synflow,
    token_sensitivity,
    w_pca,
    zen,
    zerolm,
    zico,
)
from archscout.metrics.passes import trace
from archscout.metrics.registry import (
    Metric,
    Request,
    available,
    load_file,
    metric,
    registered,
    request,
)
from archscout.metrics.trace import OBJECTIVES, Objective, Trace, WeightGradient

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
