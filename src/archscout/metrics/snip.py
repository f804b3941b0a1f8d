"""SNIP: how much the objective would change without each weight.

Source: Lee et al. 2019, "SNIP: single-shot network pruning based on connection sensitivity",
equation 4; as a metric of architectures Abdelfattah et al. 2021.
"""

from archscout.metrics.registry import metric
from archscout.metrics.shared.absolute_product import saliency_of_weights
from archscout.tracing.quantities import Trace


@metric(
    needs={"weight_gradients"},
    larger_is_better=True,
    source="Lee et al. 2019, equation 4; Abdelfattah et al. 2021, section 3.2",
    undefined="weights or their gradients are not finite",
)
def snip(trace: Trace) -> float:
    """Σ |weight * gradient| over the weights of all linear maps.

    Of networks without attention this is `synaptic_saliency`, whose direction was read off
    published labels; here it is that of the paper. With attention `synaptic_saliency` counts the
    feed-forward blocks only.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace, WeightGradient
        >>> weight, gradient = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 4.0]])
        >>> map_ = WeightGradient(weight, gradient)
        >>> snip(Trace(0, torch.zeros(1, 1), weight_gradients=[map_]))
        11.0
    """
    return trace.once(saliency_of_weights, "weights", trace.weight_gradients)
