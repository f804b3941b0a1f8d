"""ZeroLM (Chen et al. 2025): the capacity of attention and of feed-forward blocks, from weights."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace

# The paper fits it to a benchmark's labels or by a heuristic over many architectures; the score of
# one architecture has neither, and takes both blocks for equal.
BALANCE = 0.5

_of_weights = metric(
    needs={"weights"},
    larger_is_better=True,
    source="Chen et al. 2025, section III",
    undefined="a weight is not finite",
    kind="transformer",
)


def _capacity(trace: Trace, feed_forward: bool) -> float:
    """Σ over one kind of block of ‖W‖² / min(outputs, inputs), the mean squared singular value."""
    pairs = zip(trace.weights, trace.weight_roles, strict=True)
    weights = [weight for weight, role in pairs if (role == "feed_forward") == feed_forward]
    return sum(float(w.double().square().sum()) / min(w.shape) for w in weights)


@_of_weights
def zerolm_attention(trace: Trace) -> float:
    """Σ over the linear maps of the mixing blocks of the mean of their squared singular values."""
    return _capacity(trace, feed_forward=False)


@_of_weights
def zerolm_feed_forward(trace: Trace) -> float:
    """Σ over the linear maps of the feed-forward blocks of the mean squared singular value."""
    return _capacity(trace, feed_forward=True)


@_of_weights
def zerolm(trace: Trace) -> float:
    """α `zerolm_attention` + (1 - α) `zerolm_feed_forward`, α = 1/2.

    The paper chooses α for a whole benchmark; both parts are metrics of their own for that.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> weights = [2 * torch.eye(2), torch.eye(3)]  # mean squared singular values of 4 and 1
        >>> roles = ["query", "feed_forward"]
        >>> trace = Trace(0, torch.zeros(1, 1), weights=weights, weight_roles=roles)
        >>> zerolm_attention(trace), zerolm_feed_forward(trace), zerolm(trace)
        (4.0, 1.0, 2.5)
    """
    return BALANCE * zerolm_attention(trace) + (1 - BALANCE) * zerolm_feed_forward(trace)
