"""Linear memory together with what it needs to be of use: archscout's default metrics of a search.

Products, so that each is a function of one network alone, and what is nearly zero cannot be made up
for. docs/contest.md tells how their exponents were chosen, and on which architectures.
"""

from __future__ import annotations

import math

from archscout.metrics.l2_norm import l2_norm
from archscout.metrics.linear_memory import memory_of_recurrent, memory_of_transformer
from archscout.metrics.registry import metric
from archscout.metrics.token_sensitivity import token_sensitivity
from archscout.tracing.quantities import Trace

# Sensitivities spread over many orders of magnitude and memories over one: the root brings both to
# a like spread.
SENSITIVITY_EXPONENT = 1 / 4
# What is left of a gradient that vanishes is rounding; networks below rank by their memory. Above,
# gradients explode, and an output that moves more than it varies answers to no token the better.
_LEAST_SENSITIVITY, _MOST_SENSITIVITY = 1e-30, 1.0


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
    """
    sensitivity = token_sensitivity(trace)
    if not math.isfinite(sensitivity):
        return math.nan
    memory = memory_of_recurrent(trace, 1)[-1]
    counted = min(max(sensitivity, _LEAST_SENSITIVITY), _MOST_SENSITIVITY)
    return memory * math.pow(counted, SENSITIVITY_EXPONENT)


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
    """
    memory = memory_of_transformer(trace, 0)[-1]
    return (trace.depth * memory) ** 2 * l2_norm(trace)
