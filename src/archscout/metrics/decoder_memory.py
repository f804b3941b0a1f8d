"""Decoder memory: archscout's default metric of a search for decoders.

A product, as `deep_memory` is. docs/spaces/gpt.md tells how its exponents were chosen, and on which
decoders, and what it reaches on others.
"""

import math

from archscout.metrics.decoder_capacity import decoder_capacity
from archscout.metrics.linear_memory import memory
from archscout.metrics.registry import metric
from archscout.metrics.token_share import shares
from archscout.tracing.quantities import Trace


@metric(
    needs={"embeddings", "hidden_states", "non_embedding_parameters"},
    larger_is_better=True,
    source="archscout, 2026",
    undefined="states or embeddings are not finite, or no two tokens come twice each",
    kind="transformer",
)
def decoder_memory(trace: Trace) -> float:
    """`decoder_capacity` · √(`token_share` · `linear_memory_lag_0`), both of the last layer.

    Size and the bottleneck of embeddings order decoders that were trained to the end; what states
    keep of tokens orders those of one size, whose parts differ.

    Examples:
        Five tokens, twice each, and a layer that returns what it reads: a capacity of 600 · √4, a
        share of 1, and a memory of 1 - (10 / 11.25)²: four directions have five units' variance.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.arange(5).repeat(2)[:, None]
        >>> states = torch.eye(5)[tokens]
        >>> trace = Trace(0, tokens, embeddings=states, hidden_states=[states])
        >>> trace.non_embedding_parameters, trace.states_enter_steps = 600, False
        >>> round(decoder_memory(trace), 2)
        549.75
    """
    share = max(shares(trace)[-1], 0.0)
    return decoder_capacity(trace) * math.sqrt(share * max(memory(trace, 0, -1), 0.0))
