"""Amplified memory: archscout's default metric of a search for recurrent networks.

Its two parts are measured on an amplified network, see `tracing.amplification`: as it is drawn, a
plain recurrent network passes on what it reads about as well as a gated one does.
docs/leaderboard.md tells how gain, lags and exponents were chosen, and on which architectures.
"""

import math

from archscout.metrics.linear_memory import memory
from archscout.metrics.registry import metric
from archscout.metrics.token_sensitivity import counted, sensitivity
from archscout.tracing.quantities import Trace

_LEAST_MEMORY = 1e-6
_MEMORY_LAG = 4


@metric(
    needs={"hidden_states", "embeddings", "output", "last_step_gradient"},
    larger_is_better=True,
    source="archscout, 2026",
    undefined="states or gradients are not finite, or there are too few steps",
    kind="other",
    amplified=True,
)
def amplified_memory(trace: Trace) -> float:
    """Token sensitivity, more of it two tokens back, and long memory, of an amplified network.

    The weighted geometric mean of three: the sensitivity of the last output to the token one step
    back, to that two steps back (counted twice), 1 at most each, and the memory of the last layer's
    states of the token four steps back, as `linear_memory`. What is missing in one of them cannot
    be made up for by the others.

    Examples:
        The states of `linear_memory`'s example, and an output that moves as embeddings do.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.tensor([-1.0, 1.0])[:, None].repeat(6, 1, 1)  # (T, B, E) of 12, 1, 1
        >>> trace = Trace(0, torch.zeros(12, 1), embeddings=tokens, hidden_states=[tokens])
        >>> trace.output, trace.last_step_gradient = tokens, torch.ones(3, 1, 1)
        >>> round(amplified_memory(trace), 3)  # 0.1736 to the power of a quarter
        0.645
    """
    once, twice = sensitivity(trace, 1), sensitivity(trace, 2)
    remembered = memory(trace, _MEMORY_LAG, -1)
    if not all(map(math.isfinite, (once, twice, remembered))):
        return math.nan
    factors = [counted(once), counted(twice), counted(twice), max(remembered, _LEAST_MEMORY)]
    return math.exp(math.fsum(map(math.log, factors)) / len(factors))
