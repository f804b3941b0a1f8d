"""W-PCA (Wang 2025): parameters times the principal components of feed-forward hidden states."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from archscout.metrics.principal_components import principal_variances
from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace

EXPLAINED = 0.99  # η, the share of the variance

_SOURCE = "Wang 2025, section 3"
_UNDEFINED = "activations are not finite"


def _components(features: Tensor) -> float:
    """How many principal components explain `EXPLAINED` of the variance of features (T, B, F)."""
    variances = principal_variances(features)
    total = variances.sum()
    if not bool(torch.isfinite(total)):
        return math.nan
    explained = variances.cumsum(0) < EXPLAINED * total
    return int(explained.sum()) + bool(total)


def _all_components(layers: Iterable[Tensor]) -> float:
    return sum(_components(features) for features in layers)


def _of_transformer(trace: Trace) -> float:
    return trace.once(_all_components, "before", trace.preactivations)


def _of_other(trace: Trace) -> float:
    return trace.once(_all_components, "after", trace.activations)


@metric(
    needs={"preactivations"},
    larger_is_better=True,
    name="vanilla_pca",
    source=_SOURCE,
    undefined=_UNDEFINED,
    kind="transformer",
)
def components_before_activations(trace: Trace) -> float:
    """Σ over feed-forward activations of the principal components with 99 % of their variance.

    Of what an activation is applied to, one observation a position and input. Features that do
    not vary need no component.
    """
    return _of_transformer(trace)


@metric(
    needs={"preactivations", "parameters"},
    larger_is_better=True,
    name="w_pca",
    source=_SOURCE,
    undefined=_UNDEFINED,
    kind="transformer",
)
def weighted_components_before_activations(trace: Trace) -> float:
    """Number of parameters times `vanilla_pca`."""
    return trace.parameters * _of_transformer(trace)


@metric(needs={"activations"}, larger_is_better=True, source=_SOURCE, undefined=_UNDEFINED)
def vanilla_pca(trace: Trace) -> float:
    """Σ over activations of the principal components with 99 % of their variance.

    Of an activation's outputs, one observation a step and input: the paper is about transformers
    and has no form for other networks.
    """
    return _of_other(trace)


@metric(
    needs={"activations", "parameters"},
    larger_is_better=True,
    source=_SOURCE,
    undefined=_UNDEFINED,
)
def w_pca(trace: Trace) -> float:
    """Number of parameters times `vanilla_pca`."""
    return trace.parameters * _of_other(trace)
