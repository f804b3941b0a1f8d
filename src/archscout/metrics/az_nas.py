"""AZ-NAS (Lee and Ham 2024): four proxies that look at a network from different sides.

The paper reads the features that residual blocks return; here they are the hidden states of the
layers. It ranks by the sum of the logarithms of the four ranks, of transformers without
progressivity: their layers are all of one width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor

from archscout.metrics.principal_components import principal_variances
from archscout.metrics.registry import metric
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

_SOURCE = "Lee and Ham 2024, section 3.2"
_NO_TRAINABILITY = "no layer changes a gradient, or gradients are not finite"
_STABILISER = 1e-6


def _entropy(states: Tensor) -> float:
    """Entropy in nats of the shares that principal components have in the variance of states."""
    variances = principal_variances(states)
    return float(torch.special.entr(variances / variances.sum()).sum())


def _entropies(trace: Trace) -> list[float]:
    return [_entropy(states) for states in trace.hidden_states]


@metric(
    needs={"hidden_states"},
    larger_is_better=True,
    source=_SOURCE,
    undefined="the hidden states of a layer do not vary, or are not finite",
)
def az_expressivity(trace: Trace) -> float:
    """Σ over layers of the entropy of the shares of principal components in their states' variance.

    One observation a position (or step) and input.
    """
    return sum(trace.once(_entropies, "entropies", trace))


@metric(
    needs={"hidden_states"},
    larger_is_better=True,
    source=_SOURCE,
    undefined="it has one layer, or the hidden states of a layer do not vary or are not finite",
)
def az_progressivity(trace: Trace) -> float:
    """Smallest increase of the layers' entropy (as in `az_expressivity`) from one to the next."""
    entropies = trace.once(_entropies, "entropies", trace)
    increases = [after - before for before, after in pairwise(entropies)]
    if not all(map(math.isfinite, increases)):
        return math.nan
    return min(increases, default=math.nan)


def _isometry(output_gradient: Tensor, input_gradient: Tensor) -> float:
    """2 - s - 1 / s, s the largest singular value of the mean of g_in g_outᵀ: 0 at best, s = 1."""
    after, before = (g.flatten(0, -2).double() for g in (output_gradient, input_gradient))
    matrix = before.t() @ after / len(after)
    if not bool(torch.isfinite(matrix).all()):
        return math.nan
    largest = float(torch.linalg.matrix_norm(matrix, 2))
    return 2 - largest - 1 / (largest + _STABILISER)


def _equal(after: Tensor, before: Tensor) -> bool:
    """Whether both are the same but for rounding."""
    if after.shape != before.shape:
        return False
    most = rounding(float(after.abs().max()), after.dtype)
    return bool(torch.isfinite(before).all()) and float((after - before).abs().max()) <= most


def _trainability(probes: Iterable[tuple[Tensor, Tensor]]) -> float:
    changed = [(after, before) for after, before in probes if not _equal(after, before)]
    scores = [_isometry(after, before) for after, before in changed]
    return sum(scores) / len(scores) if scores else math.nan


@metric(
    needs={"layer_probes"},
    larger_is_better=True,
    source=_SOURCE,
    undefined=_NO_TRAINABILITY,
    kind="transformer",
)
def az_trainability(trace: Trace) -> float:
    """Mean over layers of 2 - s - 1 / s, s the largest singular value of a layer's Jacobian.

    It is estimated by s of the mean over positions and inputs of g_in g_outᵀ: g_out random signs
    on the layer's output, g_in what comes of them at its input. Layers that pass the signs on
    unchanged do not count.
    """
    return _trainability(trace.layer_probes)


@metric(
    needs={"layer_probes"},
    larger_is_better=True,
    name="az_trainability",
    source=_SOURCE,
    undefined=_NO_TRAINABILITY,
    kind="other",
)
def az_trainability_of_recurrent(trace: Trace) -> float:
    """Mean over layers of 2 - s - 1 / s, s the largest singular value of a layer's Jacobian.

    As of a transformer, each step with itself. But a state is the one entering its step: what the
    first layer reads at a step first acts on the state of the next, so there each step's input is
    taken with the next step's state.
    """
    first, others = trace.layer_probes[:1], trace.layer_probes[1:]
    return _trainability([*((after[1:], before[:-1]) for after, before in first), *others])


@metric(needs={"flops"}, larger_is_better=True, source=_SOURCE)
def az_complexity(trace: Trace) -> float:
    """Floating-point operations per token, `flops` by its name in the paper."""
    return trace.flops
