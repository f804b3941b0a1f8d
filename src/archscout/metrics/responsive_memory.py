"""Responsive memory: archscout's first default metric of a search for recurrent networks.

A product, so that it is a function of one network alone, and what is nearly zero cannot be made up
for. docs/leaderboard.md tells how its exponent was chosen, and on which architectures.
"""

import math

from archscout.metrics.linear_memory import memory
from archscout.metrics.registry import metric
from archscout.metrics.token_sensitivity import counted, token_sensitivity
from archscout.tracing.quantities import Trace

# Sensitivities spread over many orders of magnitude and memories over one: the root brings both to
# a like spread.
SENSITIVITY_EXPONENT = 1 / 4


@metric(
    needs={"hidden_states", "embeddings", "output", "last_step_gradient"},
    larger_is_better=True,
    source="archscout, 2026",
    undefined="states or gradients are not finite, or there are too few steps",
    kind="other",
)
def responsive_memory(trace: Trace) -> float:
    """Linear memory of the last layer times the fourth root of token sensitivity, 1 at most.

    Memory is that of the token before the last, `linear_memory`: a network must hold what it read,
    and its output must answer to it. Sensitivity counts up to 1: chaotic networks have more.

    Examples:
        The states of `linear_memory`'s example, and an output that moves as embeddings do: 1.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.tensor([-1.0, 1.0])[:, None].repeat(6, 1, 1)  # (T, B, E) of 12, 1, 1
        >>> trace = Trace(0, torch.zeros(12, 1), embeddings=tokens, hidden_states=[tokens])
        >>> trace.output, trace.last_step_gradient = tokens, torch.ones(3, 1, 1)
        >>> round(responsive_memory(trace), 4)
        0.1736
    """
    sensitivity = token_sensitivity(trace)
    if not math.isfinite(sensitivity):
        return math.nan
    return memory(trace, 1, -1) * math.pow(counted(sensitivity), SENSITIVITY_EXPONENT)
