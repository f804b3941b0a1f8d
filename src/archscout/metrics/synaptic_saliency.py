"""Synaptic saliency: weights times their gradients.

Sources: Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS"; Serianni and Kalita 2023,
section 4.1, for recurrent networks; Zhou et al. 2022, "Training-free Transformer Architecture
Search", and Serianni and Kalita 2023, section 5.1, for transformers.

The literature expects larger saliencies of better networks. Among the published recurrent
networks it is the other way round: larger saliencies go with larger losses (Kendall tau 0.12 of the
published column with the loss on Penn Treebank over 5,273 networks), so without attention smaller
is better here.
"""

from collections.abc import Iterable

from archscout.metrics.registry import metric
from archscout.metrics.shared.absolute_product import absolute_product, saliency_of_weights
from archscout.tracing.quantities import Trace, WeightGradient

_SOURCE = "Abdelfattah et al. 2021, section 3.2; Serianni and Kalita 2023, section 4.1"
_UNDEFINED = "weights or their gradients are not finite"


@metric(
    needs={"weight_gradients"},
    larger_is_better=False,
    source=_SOURCE,
    undefined=_UNDEFINED,
    with_attention={
        "larger_is_better": True,
        "source": "Zhou et al. 2022, equation 5; Serianni and Kalita 2023, section 5.1",
        "normalized": True,
    },
)
def synaptic_saliency(trace: Trace) -> float | list[float]:
    """Sum of |weight * gradient| over all linear weights; with attention, over feed-forward blocks.

    The gradient is that of the objective, by default of the output's sum. The embedding and its
    decoder are not linear weights. `snip` is the same with the literature's direction.

    Where the network has attention, the terms are those of the linear maps of the feed-forward
    blocks, one a map.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> maps = [WeightGradient(weight, gradient, role=r) for r in ("query", "feed_forward")]
        >>> synaptic_saliency(Trace(0, torch.zeros(1, 1), weight_gradients=maps))
        22.0
        >>> synaptic_saliency(Trace(0, torch.zeros(1), has_attention=True, weight_gradients=maps))
        [11.0]
    """
    if trace.has_attention:
        return [
            absolute_product(w.weight, w.gradient)
            for w in trace.weight_gradients
            if w.role == "feed_forward"
        ]
    return trace.once(saliency_of_weights, "weights", trace.weight_gradients)


@metric(
    needs={"weight_gradients", "tied_weight_gradient"},
    larger_is_better=False,
    source=_SOURCE,
    undefined=_UNDEFINED,
    kind="other",
)
def synaptic_saliency_published(trace: Trace) -> float:
    """As `synaptic_saliency`, over the weights that the published numbers are made from.

    That is, without the weight of each linear node's first-listed input, and with the matrix that
    embedding and decoder share.
    """
    return _as_published(trace.weight_gradients, trace.tied_weight_gradient)


@metric(
    needs={"squared_weight_gradients", "squared_tied_weight_gradient"},
    larger_is_better=False,
    source=_SOURCE,
    undefined=_UNDEFINED,
    kind="other",
)
def synaptic_saliency_released(trace: Trace) -> float:
    """As `synaptic_saliency_published`, with the gradient of half the output's squared norm.

    This is what the released code computes; the published numbers take the sum's gradient.
    """
    return _as_published(trace.squared_weight_gradients, trace.squared_tied_weight_gradient)


def _as_published(weights: Iterable[WeightGradient], tied: WeightGradient | None) -> float:
    """Over the weights that the published numbers count: no node's first one, and the tied one."""
    shared = tied.weight.data_ptr() if tied else None
    counted = [w for w in weights if not w.first_input and w.weight.data_ptr() != shared]
    return saliency_of_weights([*counted, *([tied] if tied else [])])
