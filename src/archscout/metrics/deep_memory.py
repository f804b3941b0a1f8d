"""Deep memory: archscout's default metric of a search for encoders.

A product, so that it is a function of one network alone, and what is nearly zero cannot be made up
for. docs/leaderboard.md tells how its exponents were chosen, and on which architectures.
"""

from archscout.metrics.l2_norm import l2_norm
from archscout.metrics.linear_memory import memory
from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"depth", "weights", "hidden_states", "embeddings"},
    larger_is_better=True,
    source="archscout, 2026",
    undefined="states or weights are not finite",
    kind="transformer",
)
def deep_memory(trace: Trace) -> float:
    """Squared depth times squared linear memory of the last layer, times the norm of the weights.

    Memory is that of the token at a position itself, `linear_memory_lag_0`: what mixing leaves of
    it. Depth and `l2_norm` say how much there is to train.

    Examples:
        A layer that returns what it reads, with a weight of norm 5: (1 - (10 / 11)²)² · 5.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.tensor([-1.0, 1.0])[:, None, None]  # (T, B, E) of 2, 1, 1
        >>> trace = Trace(0, tokens[..., 0], embeddings=tokens, hidden_states=[tokens], depth=1)
        >>> trace.states_enter_steps, trace.weights = False, [torch.tensor([[3.0, 4.0]])]
        >>> round(deep_memory(trace), 4)
        0.1506
    """
    return (trace.depth * memory(trace, 0, -1)) ** 2 * l2_norm(trace)
