"""Fisher information: how much the objective would change without each channel.

Sources: Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning"; Turner
et al. 2020, "BlockSwap"; as a metric of architectures Abdelfattah et al. 2021.
"""

import torch

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"activations", "activation_gradients"},
    larger_is_better=True,
    source="Theis et al. 2018, equation 10; Turner et al. 2020, equation 3; Abdelfattah et al. "
    "2021, section 3.2",
    undefined="activations or their gradients are not finite",
)
def fisher(trace: Trace) -> float:
    """Σ over activations, inputs and channels of (Σ over steps of activation * gradient)².

    Of activations and their gradients (T, B, H). The papers take half the mean over inputs, which
    differs by a constant.

    Examples:
        One unit, one input, two steps: (1 · 2 + 3 · 4)².

        >>> from archscout.tracing import Trace
        >>> values, gradients = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 4.0])
        >>> trace = Trace(0, torch.zeros(2, 1), activations=[values[:, None, None]])
        >>> trace.activation_gradients = [gradients[:, None, None]]
        >>> fisher(trace)
        196.0
    """
    pairs = zip(trace.activations, trace.activation_gradients, strict=True)
    return sum(
        float((values * gradients).sum(0, dtype=torch.float64).square().sum())
        for values, gradients in pairs
    )
