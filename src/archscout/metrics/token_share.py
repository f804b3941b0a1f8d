"""Token share: how much of a transformer's states is told by the token at the position.

Positions that are added to embeddings, and what mixing brings from other positions, make states of
one token differ. Rotary positions, for one, are not added, and leave the tokens to the layers.
"""

import math

import torch
from torch import Tensor

from archscout.metrics.registry import LAST_LAYER, metric
from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace


def explained_by_groups(values: Tensor, groups: Tensor) -> float:
    """Kelley's ε²: 1 - the mean square within groups / the mean square in all.

    Args:
        values: (n, H).
        groups: (n,) of whole numbers; what is alone in its group is left out.

    Returns:
        1 where groups explain all, about 0 where they explain as much as chance does; NaN where
        values are not finite or do not vary, or there are no two groups of two.
    """
    _, index, sizes = groups.unique(return_inverse=True, return_counts=True)
    kept = sizes[index] > 1
    _, index, sizes = groups[kept].unique(return_inverse=True, return_counts=True)
    exact = values[kept].double()
    if len(sizes) < 2 or not is_finite(exact):
        return math.nan
    centred = exact - exact.mean(0)
    in_all = float(centred.square().sum()) / (len(exact) - 1)
    if in_all <= exact.shape[1] * rounding(float(exact.abs().amax()), values.dtype) ** 2:
        return math.nan
    sums = torch.zeros(len(sizes), exact.shape[1], dtype=exact.dtype, device=exact.device)
    means = sums.index_add_(0, index, centred) / sizes[:, None]
    within = float((centred - means[index]).square().sum()) / (len(exact) - len(sizes))
    return 1 - within / in_all


def shares(trace: Trace) -> list[float]:
    """Token share by layer; NaN where numbers are read, and not tokens."""
    if trace.minibatch.is_floating_point():
        return [math.nan] * len(trace.hidden_states)
    tokens = trace.minibatch.flatten()
    return [
        trace.once(explained_by_groups, layer, states.flatten(0, 1), tokens)
        for layer, states in enumerate(trace.hidden_states)
    ]


@metric(
    needs={"hidden_states", "embeddings"},  # whose steps are those of the states
    larger_is_better=True,
    source="archscout, 2026; Kelley 1935 (ε²), of states by token",
    main_layer=LAST_LAYER,
    undefined="states are not finite or do not vary, or no two tokens come twice each",
    kind="transformer",
)
def token_share(trace: Trace) -> list[float]:
    """Share of the variance of a layer's states (T, B, H) that lies between different tokens.

    Of tokens that come twice or more in the minibatch (T, B), without what chance explains.

    Examples:
        Two tokens, twice each; half of their units tells them apart, half their positions.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.tensor([[0], [0], [1], [1]])
        >>> told, placed = torch.tensor([1.0, 1, -1, -1]), torch.tensor([1.0, -1, 1, -1])
        >>> states = torch.stack([told, placed], 1)[:, None]  # (T, B, H) of 4, 1, 2
        >>> [round(share, 4) for share in token_share(Trace(0, tokens, hidden_states=[states]))]
        [0.25]
    """
    return shares(trace)
