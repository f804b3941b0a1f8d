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

import math

import torch
from torch import Tensor

from archscout.metrics.registry import LAST_LAYER, metric
from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

RIDGE = 10.0
LAGS = (0, 1, 2, 4)

# One in so many steps, at the beginning, is left out: a recurrent network leaves its zero state.
_WASHOUT = 3


def explained_variance(states: Tensor, targets: Tensor) -> float:
    """Share of the targets' variance that a ridge regression on the states explains.

    Args:
        states: (n, H), brought to unit variance here; a unit whose variation is little more than
            rounding counts for as little, one that does not vary as zero.
        targets: (n, E), centred here.

    Returns:
        From 0 (nothing) to 1; 0 where the targets do not vary, NaN where states are not finite or
        there are fewer than two.

    Examples:
        A unit that is the target: the penalty leaves 1 - (10 / 11)² of the variance.

        >>> values = torch.tensor([[-1.0], [1.0]])
        >>> round(explained_variance(values, values), 4)
        0.1736
    """
    if len(states) < 2 or not is_finite(states):
        return math.nan
    units = _standardised(states)
    wanted = targets.double()
    wanted = wanted - wanted.mean(0)
    total = float(wanted.square().sum())
    if total <= rounding(float(targets.double().norm()), targets.dtype) ** 2:
        return 0.0
    penalised = units.t() @ units
    penalised.diagonal().add_(RIDGE * len(units))
    products = units.t() @ wanted
    weights = torch.cholesky_solve(products, torch.linalg.cholesky(penalised))
    # What is left is total - <W, P> - RIDGE n |W|², as W solves the equations of the products P.
    explained = (weights * products).sum() + RIDGE * len(units) * weights.square().sum()
    return float(explained) / total


def _standardised(states: Tensor) -> Tensor:
    """States (n, H) in float64, of mean 0 and, but for what rounding may be of it, variance 1."""
    exact = states.double()
    centred = exact - exact.mean(0)
    # Added to the variance, so that no unit is in on one processor and out on another.
    noise = rounding(exact.abs().amax(0), states.dtype)
    deviation = (centred.square().mean(0) + noise.square()).sqrt()
    return centred / deviation.masked_fill(deviation == 0, math.inf)


def memory(trace: Trace, lag: int, layer: int) -> float:
    """Share of the variance of the embedding `lag` tokens back that a layer's states explain.

    The state that enters a step has read the token before it last. One that a layer returns at a
    position counts as having read the token there. Layers count from 0, or from the last one back.
    """
    layer = range(len(trace.hidden_states))[layer]
    return trace.once(_explained, (lag, layer), trace, lag, layer)


def _explained(trace: Trace, lag: int, layer: int) -> float:
    embeddings = trace.embeddings
    assert embeddings is not None
    steps = len(embeddings)
    # hidden_states[t] has read token t - after_token last; only such have a zero state to leave.
    after_token = int(trace.states_enter_steps)
    # The first token of the washed-out states has index `first`.
    first = max(lag, steps // _WASHOUT if after_token else 0)
    read = trace.hidden_states[layer][first + after_token :]
    targets = embeddings[first - lag : first - lag + len(read)]
    return explained_variance(read.flatten(0, 1), targets.flatten(0, 1))


def memory_by_layer(trace: Trace, lag: int) -> list[float]:
    """The same of every layer."""
    return [memory(trace, lag, layer) for layer in range(len(trace.hidden_states))]


_of_states = metric(
    needs={"hidden_states", "embeddings"},
    larger_is_better=True,
    source="Jaeger 2002, section 3, as one minibatch allows it",
    main_layer=LAST_LAYER,
    undefined="hidden states are not finite, or there are too few steps for the lag",
)


@_of_states
def linear_memory(trace: Trace) -> list[float]:
    """Variance of the embedding one token back that a layer's states explain linearly.

    A share from 0 to 1 a layer, of states (T, B, H) and embeddings (T, B, E).

    Examples:
        States that tell a token's sign, of tokens that alternate: 1 - (10 / 11)², as above.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> tokens = torch.tensor([-1.0, 1.0])[:, None].repeat(6, 1, 1)  # (T, B, E) of 12, 1, 1
        >>> trace = Trace(0, torch.zeros(12, 1), embeddings=tokens, hidden_states=[tokens])
        >>> [round(share, 4) for share in linear_memory(trace)]
        [0.1736]
        >>> [round(total, 4) for total in linear_memory_total(trace)]
        [0.6942]
    """
    return memory_by_layer(trace, 1)


@_of_states
def linear_memory_lag_0(trace: Trace) -> list[float]:
    """Variance of the embedding of the token read last that a layer's states explain linearly."""
    return memory_by_layer(trace, 0)


@_of_states
def linear_memory_lag_2(trace: Trace) -> list[float]:
    """Variance of the embedding two tokens back that a layer's states explain linearly."""
    return memory_by_layer(trace, 2)


@_of_states
def linear_memory_lag_4(trace: Trace) -> list[float]:
    """Variance of the embedding four tokens back that a layer's states explain linearly."""
    return memory_by_layer(trace, 4)


@_of_states
def linear_memory_total(trace: Trace) -> list[float]:
    """Linear memory at lags 0, 1, 2, 4, summed."""
    by_lag = [memory_by_layer(trace, lag) for lag in LAGS]
    return [math.fsum(layer) for layer in zip(*by_lag, strict=True)]
