"""Saliencies: weights or states times their gradients.

Sources: Lee et al. 2019 (SNIP) and Abdelfattah et al. 2021, "Zero-cost proxies for lightweight
NAS", for weights; Serianni and Kalita 2023, sections 4.1 and 4.2, for both on recurrent networks.

The literature expects larger saliencies of better networks. Among the published recurrent
networks it is the other way round: larger saliencies go with larger losses (Kendall tau of the
published columns with the loss on Penn Treebank over 5,273 networks: 0.12 for weights, 0.27 for
states), so smaller is better here.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace, WeightGradient

_SOURCE = "Abdelfattah et al. 2021, section 3.2; Serianni and Kalita 2023, section 4.1"
_UNDEFINED = "weights or their gradients are not finite"


def absolute_product(value: Tensor, gradient: Tensor) -> float:
    """Sum of |value * gradient|, its rows' sums accumulated in float64."""
    # To add all of it up in float64 would take longer than the product.
    return float((value * gradient).abs_().sum(-1).sum(dtype=torch.float64))


def _saliency(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    return sum(absolute_product(value, gradient) for value, gradient in pairs)


def saliency_of_weights(weights: Iterable[WeightGradient]) -> float:
    """Sum of |weight * gradient| over these weights."""
    return _saliency((w.weight, w.gradient) for w in weights)


def _as_published(
    weights: Iterable[WeightGradient], tied: WeightGradient | None
) -> list[tuple[Tensor, Tensor]]:
    """The weights that the published numbers count: no node's first one, and the tied matrix."""
    shared = tied.weight.data_ptr() if tied else None
    counted = [w for w in weights if not w.first_input and w.weight.data_ptr() != shared]
    return [(w.weight, w.gradient) for w in (*counted, *([tied] if tied else []))]


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    name="synaptic_saliency",
    source="Zhou et al. 2022, equation 5; Serianni and Kalita 2023, section 5.1",
    undefined=_UNDEFINED,
    kind="transformer",
    normalized=True,
)
def saliency_of_feed_forward(trace: Trace) -> list[float]:
    """Sum of |weight * gradient| of each linear map of the feed-forward blocks."""
    return [
        absolute_product(w.weight, w.gradient)
        for w in trace.weight_gradients
        if w.role == "feed_forward"
    ]


@metric(needs={"weight_gradients"}, larger_is_better=False, source=_SOURCE, undefined=_UNDEFINED)
def synaptic_saliency(trace: Trace) -> float:
    """Sum of |weight * gradient| over all linear weights.

    The gradient is that of the objective, by default of the output's sum. The embedding and its
    decoder are not linear weights. `snip` is the same with the literature's direction.
    """
    return trace.once(saliency_of_weights, "weights", trace.weight_gradients)


@metric(
    needs={"weight_gradients", "tied_weight_gradient"},
    larger_is_better=False,
    source=_SOURCE,
    undefined=_UNDEFINED,
)
def synaptic_saliency_published(trace: Trace) -> float:
    """As `synaptic_saliency`, over the weights that the published numbers are made from.

    That is, without the weight of each linear node's first-listed input, and with the matrix that
    embedding and decoder share.
    """
    return _saliency(_as_published(trace.weight_gradients, trace.tied_weight_gradient))


@metric(
    needs={"squared_weight_gradients", "squared_tied_weight_gradient"},
    larger_is_better=False,
    source=_SOURCE,
    undefined=_UNDEFINED,
)
def synaptic_saliency_released(trace: Trace) -> float:
    """As `synaptic_saliency_published`, with the gradient of half the output's squared norm.

    This is what the released code computes; the published numbers take the sum's gradient.
    """
    return _saliency(
        _as_published(trace.squared_weight_gradients, trace.squared_tied_weight_gradient)
    )


@metric(
    needs={"hidden_states", "hidden_state_gradients"},
    larger_is_better=False,
    source="Serianni and Kalita 2023, section 4.2",
    undefined="hidden states or their gradients are not finite",
)
def hidden_synaptic_saliency(trace: Trace) -> float:
    """Sum of |state * gradient| over layers and steps, of the first state entering each step.

    The states of a transformer's layer are its outputs.
    """
    return _saliency(zip(trace.hidden_states, trace.hidden_state_gradients, strict=True))
