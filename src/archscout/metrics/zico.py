"""ZiCo: how large gradients are beside how much they vary between inputs.

Source: Li et al. 2023, "ZiCo: zero-shot NAS via inverse coefficient of variation on gradients",
equation 14 and released code.
"""

import math

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"gradient_statistics"},
    larger_is_better=True,
    source="Li et al. 2023, section 3.4",
    undefined="gradients of weights are not finite, or the minibatch has one input only",
)
def zico(trace: Trace) -> float:
    """Σ over linear maps of log Σ over weights of mean |g| / std(g), over the inputs' gradients g.

    The deviation is that of g, as in the released code. Weights whose gradient does not vary, and
    maps without any other, are left out, as there. It is a ratio, so a network whose gradients
    hardly depend on the input scores higher than one that tells its inputs apart.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> from archscout.tracing.quantities import GradientStatistics
        >>> maps = [GradientStatistics(signal_to_noise=math.e)] * 2
        >>> zico(Trace(0, torch.zeros(1, 2), gradient_statistics=maps))
        2.0
    """
    if trace.minibatch.shape[1] < 2:
        return math.nan
    sums = [statistics.signal_to_noise for statistics in trace.gradient_statistics]
    return sum(math.log(ratio) for ratio in sums if ratio != 0)
