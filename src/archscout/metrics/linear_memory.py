"""Linear memory: how well a linear readout of the states recovers tokens that were read before.

Source: Jaeger 2002, "Short term memory in echo state networks" (GMD report 152), where the memory
capacity of a reservoir is the sum over lags of the variance that the best linear readout explains.
Here the inputs are the embeddings of a text, which are not independent, the networks are driven by
one minibatch only, and units are brought to unit variance. So the readout is a ridge regression
with a penalty of `RIDGE` variances: it comes near to adding up what single units know of a token,
where a weak penalty would explain anything (with H of some hundred units on as many steps).

Chance has its part even so: H units of noise, seen n times, explain about 0.17 H / n, for H well
below n. So networks of equal width compare, on minibatches of one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from archscout.metrics.registry import LAST_LAYER, metric
from archscout.recording import Kind
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

RIDGE = 10.0
LAGS = (0, 1, 2, 4)

# One in so many steps, at the beginning, is left out: a recurrent network leaves its zero state.
_WASHOUT = 3

_SOURCE = "Jaeger 2002, section 3, as one minibatch allows it"
_UNDEFINED = "hidden states are not finite, or there are too few steps for the lag"


def explained_variance(states: Tensor, targets: Tensor, ridge: float = RIDGE) -> float:
    """Share of the targets' variance that a ridge regression on the states explains.

    Args:
        states: (n, H), brought to unit variance here; a unit whose variation is little more than
            rounding counts for as little, one that does not vary as zero.
        targets: (n, E), centred here.
        ridge: penalty in variances of a unit.

    Returns:
        From 0 (nothing) to 1; 0 where the targets do not vary, NaN where states are not finite or
        there are fewer than two.
    """
    if len(states) < 2 or not bool(torch.isfinite(states).all()):
        return math.nan
    units = _standardised(states)
    wanted = targets.double()
    wanted = wanted - wanted.mean(0)
    total = float(wanted.square().sum())
    if total <= rounding(float(targets.double().norm()), targets.dtype) ** 2:
        return 0.0
    penalised = units.t() @ units
    penalised.diagonal().add_(ridge * len(units))
    products = units.t() @ wanted
    weights = torch.cholesky_solve(products, torch.linalg.cholesky(penalised))
    residual = float((wanted - units @ weights).square().sum())
    return 1 - residual / total


def _standardised(states: Tensor) -> Tensor:
    """States (n, H) in float64, of mean 0 and, but for what rounding may be of it, variance 1."""
    exact = states.double()
    centred = exact - exact.mean(0)
    # Added to the variance, so that no unit is in on one processor and out on another.
    noise = rounding(exact.abs().amax(0), states.dtype)
    deviation = (centred.square().mean(0) + noise.square()).sqrt()
    return centred / deviation.masked_fill(deviation == 0, math.inf)


def _memory(trace: Trace, lag: int, after_token: int) -> list[float]:
    """By layer, what the states explain of the embedding `lag` tokens before.

    Args:
        trace: of the network.
        lag: 0 for the token that was read last.
        after_token: hidden_states[t] has read token t - after_token last.
    """
    embeddings = trace.embeddings
    assert embeddings is not None
    steps = len(embeddings)
    # The first token of the washed-out states has index `first`.
    first = max(lag, steps // _WASHOUT if after_token else 0)
    values = []
    for states in trace.hidden_states:
        read = states[first + after_token :]
        targets = embeddings[first - lag : first - lag + len(read)]
        values.append(explained_variance(read.flatten(0, 1), targets.flatten(0, 1)))
    return values


def memory_of_recurrent(trace: Trace, lag: int) -> list[float]:
    """By layer; the state that enters a step has read the token before it last."""
    return trace.once(_memory, lag, trace, lag, 1)


def memory_of_transformer(trace: Trace, lag: int) -> list[float]:
    """By layer; the state of a position counts as having read the token at it last."""
    return trace.once(_memory, lag, trace, lag, 0)


def _register(name: str, lags: Sequence[int], summary: str) -> None:
    """Register the sum of the memories at some lags for both kinds of networks."""
    of_kind: dict[Kind, Callable[[Trace, int], list[float]]] = {
        "other": memory_of_recurrent,
        "transformer": memory_of_transformer,
    }
    for kind, memory in of_kind.items():
        function = _summed(memory, lags)
        function.__doc__, function.__qualname__ = summary, f"{name}_of_{kind}"
        metric(
            needs={"hidden_states", "embeddings"},
            larger_is_better=True,
            name=name,
            source=_SOURCE,
            main_layer=LAST_LAYER,
            undefined=_UNDEFINED,
            kind=kind,
        )(function)


def _summed(
    memory: Callable[[Trace, int], list[float]], lags: Sequence[int]
) -> Callable[[Trace], list[float]]:
    def summed(trace: Trace) -> list[float]:
        by_lag = [memory(trace, lag) for lag in lags]
        return [math.fsum(layer) for layer in zip(*by_lag, strict=True)]

    return summed


for _lag in LAGS:
    _register(
        "linear_memory" if _lag == 1 else f"linear_memory_lag_{_lag}",
        [_lag],
        f"Variance of the embedding {_lag} tokens back that a layer's states explain linearly.",
    )
_register(
    "linear_memory_total", LAGS, f"Linear memory at lags {', '.join(map(str, LAGS))}, summed."
)
