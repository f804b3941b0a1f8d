"""The size of a network behind its embeddings, and the bottleneck that they are."""

import math

from archscout.metrics.embedding_dimension import filled_dimensions
from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"embeddings", "non_embedding_parameters"},
    larger_is_better=True,
    source="archscout, its exponent chosen on half of the decoders of Javaheripi et al. 2022",
    undefined="embeddings are not finite, or all alike",
)
def decoder_capacity(trace: Trace) -> float:
    """Parameters that are no embeddings, times the root of the dimensions that embeddings fill.

    Decoders of one size differ in what reaches their layers: see `non_embedding_parameters` and
    `embedding_dimension`.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> table = torch.eye(5)
        >>> tokens = torch.arange(5)[:, None]
        >>> trace = Trace(0, tokens, non_embedding_parameters=600, embeddings=table[tokens])
        >>> decoder_capacity(trace)
        1200.0
    """
    return trace.non_embedding_parameters * math.sqrt(filled_dimensions(trace))
