"""Activation distance: how differently inputs, or positions, switch the activations.

Sources: Mellor et al. 2021, "Neural architecture search without training", equation 2; Serianni
and Kalita 2023, sections 4.1 (recurrent networks) and 5.1 (encoders).
"""

import math

from archscout.metrics.registry import metric
from archscout.metrics.shared.activation_codes import agreement_of_positions, log_determinant
from archscout.tracing.quantities import Trace

_SOURCE = "Mellor et al. 2021, equation 2; Serianni and Kalita 2023, section 4.1"
_UNDEFINED = "two inputs switch every activation alike, or activations are not finite"


@metric(
    needs={"activations"},
    larger_is_better=True,
    source=_SOURCE,
    undefined=_UNDEFINED,
    with_attention={
        "source": "Mellor et al. 2021, equation 2; Serianni and Kalita 2023, section 5.1",
        "undefined": "activations are not finite",
        "normalized": True,
    },
)
def activation_distance(trace: Trace) -> float | list[float]:
    """Agreement of activation codes: of inputs log |det K|; with attention, of positions its sum.

    K += x xT + (1 - x)(1 - x)T over every activation node, step and layer, x the code
    (output > 0) of the B inputs, in one forward pass.

    Where the network has attention, x are the codes of the positions of the minibatch's first
    input, (T, F), and the terms are the sums of all entries of K, one a feed-forward activation.

    Examples:
        Two inputs of which one switches on both units, the other none: K is 2 I.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> outputs = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]])  # (T, B, H) of 1, 2, 2
        >>> trace = Trace(0, torch.zeros(1, 2), activations=[outputs])
        >>> round(activation_distance(trace), 4)  # log 4
        1.3863
        >>> round(activation_distance_released(trace), 4)  # log 16
        2.7726
    """
    if trace.has_attention:
        return [agreement_of_positions(outputs[:, 0]) for outputs in trace.activations]
    return log_determinant(trace)


@metric(
    needs={"activations"},
    larger_is_better=True,
    source=_SOURCE,
    undefined=_UNDEFINED,
    kind="other",
)
def activation_distance_released(trace: Trace) -> float:
    """As `activation_distance` over two identical forward passes, which adds B log 2.

    The released code's hooks see two passes; the published numbers come from one.
    """
    return log_determinant(trace) + trace.minibatch.shape[1] * math.log(2)
