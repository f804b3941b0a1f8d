"""How many dimensions a network's embeddings fill: the bottleneck before its layers."""

import math

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.principal_components import principal_variances
from archscout.tracing.quantities import Trace


def participation_ratio(features: Tensor) -> float:
    """(Σ λ)² / Σ λ² of the principal variances λ of features (n, E).

    It is E where all directions vary alike, and 1 where one does; NaN where none does.
    """
    variances = principal_variances(features)
    squares = float(variances.square().sum())
    return float(variances.sum()) ** 2 / squares if squares else math.nan


def filled_dimensions(trace: Trace) -> float:
    """Participation ratio of the embeddings of the minibatch's different tokens."""
    embeddings = trace.embeddings
    assert embeddings is not None
    return trace.once(participation_ratio, "embeddings", _of_different_tokens(trace, embeddings))


def _of_different_tokens(trace: Trace, embeddings: Tensor) -> Tensor:
    """(n, E): of a text each token once, for its commonest are a large part of it."""
    observations = embeddings.flatten(0, 1)
    if trace.minibatch.is_floating_point():
        return observations
    tokens = trace.minibatch.flatten()
    different, index = tokens.unique(return_inverse=True)
    places = torch.arange(len(tokens), device=tokens.device)
    first = torch.full_like(different, len(tokens)).scatter_reduce_(0, index, places, "amin")
    return observations[first]


@metric(
    needs={"embeddings"},
    larger_is_better=True,
    source="Gao et al. 2017 (participation ratio, of neurons); here of embeddings",
    undefined="embeddings are not finite, or all alike",
)
def embedding_dimension(trace: Trace) -> float:
    """Participation ratio of the different tokens' embeddings: how many dimensions they fill.

    Of embeddings (T, B, E), one observation a different token of the minibatch, or one each where
    the minibatch is of numbers. Narrow embeddings that are projected to a wide network fill few of
    its dimensions, and so do those of a vocabulary whose rarer tokens are embedded in fewer.

    Examples:
        Four tokens that fill a plane; the last one again.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> table = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
        >>> tokens = torch.tensor([0, 1, 2, 3, 3])[:, None]
        >>> embedding_dimension(Trace(0, tokens, embeddings=table[tokens]))
        2.0
    """
    return filled_dimensions(trace)
