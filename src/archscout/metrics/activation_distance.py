"""Activation distance (Mellor et al. 2021): how differently inputs switch the activations."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

_SOURCE = "Mellor et al. 2021, equation 2; Serianni and Kalita 2023, section 4.1"
_UNDEFINED = "two inputs switch every activation alike, or activations are not finite"


def _agreement(trace: Trace) -> Tensor:
    """K (B, B): on how many activations two inputs agree, over all steps, layers and nodes."""
    batch_size = trace.minibatch.shape[1]
    agreement = torch.zeros(batch_size, batch_size, dtype=torch.float64)
    for outputs in trace.activations:
        if not bool(torch.isfinite(outputs).all()):
            return agreement.fill_(math.nan)
        signs = (outputs > 0).transpose(0, 1).flatten(1).float() * 2 - 1
        # With codes x of n bits, x xT + (1-x)(1-x)T = (n + s sT) / 2 for signs s = 2x - 1;
        # counts below 2^24 are exact in float32.
        agreement += ((signs @ signs.t() + signs.shape[1]) / 2).double().cpu()
    return agreement


def log_determinant(trace: Trace) -> float:
    """Log |det K|, K the agreement between the codes of the inputs; -inf where two are alike."""
    return trace.once(_log_determinant, "", trace)


def _log_determinant(trace: Trace) -> float:
    agreement = _agreement(trace)
    if not bool(torch.isfinite(agreement).all()):
        return math.nan
    # Counts are exact, but of a singular matrix the decomposition's rounding would be left.
    eigenvalues = torch.linalg.eigvalsh(agreement)
    least = rounding(float(eigenvalues[-1]), agreement.dtype, len(agreement))
    return float(eigenvalues.log().sum()) if float(eigenvalues[0]) > least else -math.inf


def _agreement_of_positions(outputs: Tensor) -> float:
    """Sum over pairs of positions of the features that agree, from one input's outputs (T, F)."""
    if not bool(torch.isfinite(outputs).all()):
        return math.nan
    # With c of T positions on, a feature's codes agree on c * c + (T - c) * (T - c) pairs.
    on = (outputs > 0).sum(0)
    return float((on * on + (len(outputs) - on) ** 2).sum())


@metric(
    needs={"activations"},
    larger_is_better=True,
    name="activation_distance",
    source="Mellor et al. 2021, equation 2; Serianni and Kalita 2023, section 5.1",
    undefined="activations are not finite",
    kind="transformer",
    normalized=True,
)
def agreement_of_positions(trace: Trace) -> list[float]:
    """Sum of all entries of x xT + (1 - x)(1 - x)T for each feed-forward activation.

    x are the binary codes (output > 0) of the positions of the minibatch's first input, (T, F).
    """
    return [_agreement_of_positions(outputs[:, 0]) for outputs in trace.activations]


@metric(needs={"activations"}, larger_is_better=True, source=_SOURCE, undefined=_UNDEFINED)
def activation_distance(trace: Trace) -> float:
    """Logarithm of the determinant of the agreement between binary activation codes.

    K += x xT + (1 - x)(1 - x)T over every activation node, step and layer, x the code
    (output > 0) of the B inputs, in one forward pass; then log |det K|.
    """
    return log_determinant(trace)


@metric(needs={"activations"}, larger_is_better=True, source=_SOURCE, undefined=_UNDEFINED)
def activation_distance_released(trace: Trace) -> float:
    """As `activation_distance` over two identical forward passes, which adds B log 2.

    The released code's hooks see two passes; the published numbers come from one.
    """
    return log_determinant(trace) + trace.minibatch.shape[1] * math.log(2)
