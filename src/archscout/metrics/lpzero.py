"""LPZero (Dong et al. 2024): the proxy that genetic programming found for FlexiBERT."""

from collections.abc import Iterator
from itertools import cycle, groupby

from torch import Tensor

from archscout.metrics.registry import metric
from archscout.recording import PROJECTIONS
from archscout.tracing.quantities import Trace


def _first_projections(trace: Trace) -> Iterator[Tensor]:
    """The output of each layer's first projection: the query, or a linear transform's input.

    How many projections a layer has shows in the roles of its weights, which begin with those of
    the mixing block and end with the feed-forward block's.
    """
    blocks = groupby(trace.weight_roles, "feed_forward".__eq__)
    sizes = [
        sum(role in PROJECTIONS for role in block)
        for is_feed_forward, block in blocks
        if not is_feed_forward
    ]
    # Layers that share their weights have them listed once, but each its own projections.
    sizes_by_layer = cycle(size for size in sizes if size)
    start = 0
    while start < len(trace.projections):
        yield trace.projections[start]
        start += next(sizes_by_layer)


@metric(
    needs={"projections", "weights"},
    larger_is_better=True,
    source="Dong et al. 2024, as released for FlexiBERT",
    undefined="projections are not finite",
    kind="transformer",
)
def lpzero(trace: Trace) -> float:
    """Mean over layers of the mean of h², h the output of the layer's first projection.

    The first projection is the query's, or a linear transform's input. The proxy that was found
    reads (-h)² + log softmax(‖a‖), a the output of a feed-forward activation; the norm is a single
    number, whose softmax is 1, so the second term is zero.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> roles = ["query", "key", "output", "feed_forward"]
        >>> projections = [torch.full((1, 1, 2), 3.0), torch.ones(1, 1, 2)]  # of a query and a key
        >>> lpzero(Trace(0, torch.zeros(1, 1), projections=projections, weight_roles=roles))
        9.0
    """
    means = [float(outputs.square().mean()) for outputs in _first_projections(trace)]
    return sum(means) / max(1, len(means))
