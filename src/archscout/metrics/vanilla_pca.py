"""Vanilla PCA (Wang 2025): the principal components of feed-forward hidden states."""

import math

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.principal_components import principal_variances
from archscout.tracing.quantities import Trace

EXPLAINED = 0.99  # η, the share of the variance


def _components(features: Tensor) -> float:
    """How many principal components explain `EXPLAINED` of the variance of features (T, B, F)."""
    variances = principal_variances(features)
    total = variances.sum()
    if not bool(torch.isfinite(total)):
        return math.nan
    explained = variances.cumsum(0) < EXPLAINED * total
    return int(explained.sum()) + bool(total)


def _all_components(trace: Trace) -> float:
    layers = trace.preactivations if trace.has_attention else trace.activations
    return sum(_components(features) for features in layers)


@metric(
    needs={"activations"},
    larger_is_better=True,
    source="Wang 2025, section 3",
    undefined="activations are not finite",
    with_attention={"needs": {"preactivations"}},
)
def vanilla_pca(trace: Trace) -> float:
    """Σ over activations of the principal components with 99 % of their variance.

    Of an activation's outputs (T, B, F), one observation a step and input. Where the network has
    attention, of what its feed-forward activations are applied to, as in the paper, which is about
    transformers. Features that do not vary need no component.

    Examples:
        Two features, of which one does not vary.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> features = torch.tensor([[1.0, 5.0], [-1.0, 5.0]])[:, None]
        >>> vanilla_pca(Trace(0, torch.zeros(2, 1), activations=[features]))
        1
    """
    return trace.once(_all_components, "", trace)
