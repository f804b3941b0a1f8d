"""How a transformer's weights are shared out between attention and feed-forward blocks."""

import math

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"weights"},
    larger_is_better=True,
    source="as a baseline; Javaheripi et al. 2022 vary it by layer",
    undefined="there are no linear maps",
    kind="transformer",
)
def attention_share(trace: Trace) -> float:
    """Share of the linear maps' weights that is not in feed-forward blocks.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> trace = Trace(0, torch.zeros(1, 1), weights=[torch.ones(4, 4), torch.ones(12, 4)])
        >>> trace.weight_roles = ["query", "feed_forward"]
        >>> attention_share(trace)
        0.25
    """
    sizes = [weight.numel() for weight in trace.weights]
    roles = zip(sizes, trace.weight_roles, strict=True)
    mixing = sum(size for size, role in roles if role != "feed_forward")
    return mixing / sum(sizes) if sum(sizes) else math.nan
