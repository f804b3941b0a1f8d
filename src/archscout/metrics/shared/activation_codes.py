"""Binary codes of activations: which of them an input switches on.

Source: Mellor et al. 2021, "Neural architecture search without training", equation 2.
"""

import math

import torch
from torch import Tensor

from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

_EXACT = 2**24  # counts up to here are exact in float32


def _agreement(trace: Trace) -> Tensor:
    """K (B, B): on how many activations two inputs agree, over all steps, layers and nodes."""
    batch_size = trace.minibatch.shape[1]
    agreement = torch.zeros(batch_size, batch_size, dtype=torch.float64)
    for outputs in trace.activations:
        if not is_finite(outputs):
            return agreement.fill_(math.nan)
        signs = (outputs > 0).transpose(0, 1).flatten(1).float().mul_(2).sub_(1)
        # With codes x of n bits, x xT + (1-x)(1-x)T = (n + s sT) / 2 for signs s = 2x - 1.
        for part in signs.split(_EXACT, dim=1):
            agreement += ((part @ part.t()).double() + part.shape[1]).cpu() / 2
    return agreement


def log_determinant(trace: Trace) -> float:
    """Log |det K|, K the agreement between the codes of the inputs; -inf where two are alike."""
    return trace.once(_log_determinant, "", trace)


def _log_determinant(trace: Trace) -> float:
    agreement = _agreement(trace)
    if not is_finite(agreement):
        return math.nan
    # Counts are exact, but of a singular matrix the decomposition's rounding would be left.
    eigenvalues = torch.linalg.eigvalsh(agreement)
    least = rounding(float(eigenvalues[-1]), agreement.dtype, len(agreement))
    return float(eigenvalues.log().sum()) if float(eigenvalues[0]) > least else -math.inf


def agreement_of_positions(outputs: Tensor) -> float:
    """Sum over pairs of positions of the features that agree, from one input's outputs (T, F)."""
    if not is_finite(outputs):
        return math.nan
    # With c of T positions on, a feature's codes agree on c * c + (T - c) * (T - c) pairs.
    on = (outputs > 0).sum(0)
    return float((on * on + (len(outputs) - on) ** 2).sum())
