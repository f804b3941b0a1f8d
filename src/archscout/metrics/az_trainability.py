"""AZ-NAS's trainability (Lee and Ham 2024), one of its four proxies."""

import math

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

_STABILISER = 1e-6


def _isometry(output_gradient: Tensor, input_gradient: Tensor) -> float:
    """2 - s - 1 / s, s the largest singular value of the mean of g_in g_outᵀ: 0 at best, s = 1."""
    after, before = (g.flatten(0, -2).double() for g in (output_gradient, input_gradient))
    matrix = before.t() @ after / len(after)
    if not is_finite(matrix):
        return math.nan
    largest = float(torch.linalg.matrix_norm(matrix, 2))
    return 2 - largest - 1 / (largest + _STABILISER)


def _equal(after: Tensor, before: Tensor) -> bool:
    """Whether both are the same but for rounding."""
    if after.shape != before.shape or not after.numel():
        return False
    most = rounding(float(after.abs().max()), after.dtype)
    return is_finite(before) and float((after - before).abs().max()) <= most


@metric(
    needs={"layer_probes"},
    larger_is_better=True,
    source="Lee and Ham 2024, section 3.2",
    undefined="no layer changes a gradient, or gradients are not finite",
)
def az_trainability(trace: Trace) -> float:
    """Mean over layers of 2 - s - 1 / s, s the largest singular value of a layer's Jacobian.

    It is estimated by s of the mean over positions and inputs of g_in g_outᵀ: g_out random signs
    (T, B, H) on the layer's output, g_in what comes of them at its input. Layers that pass the
    signs on unchanged do not count.

    Where states are those that enter a step, what the first layer reads at a step first acts on the
    state of the next, so there each step's input is taken with the next step's state.

    Examples:
        A layer that halves its gradients: 2 - ½ - 1 / ½.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> signs = torch.ones(3, 2, 1)
        >>> trace = Trace(0, torch.zeros(3, 2), layer_probes=[(signs, signs / 2)])
        >>> round(az_trainability(trace), 4)
        -0.5
    """
    probes = trace.layer_probes
    if trace.states_enter_steps:
        probes = [*((after[1:], before[:-1]) for after, before in probes[:1]), *probes[1:]]
    changed = [(after, before) for after, before in probes if not _equal(after, before)]
    scores = [_isometry(after, before) for after, before in changed]
    return sum(scores) / len(scores) if scores else math.nan
