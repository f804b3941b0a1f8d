"""More-noised Jacobian: a score under noise of several amplitudes on the embeddings.

Sources: Celotti et al. 2020, "Improving zero-shot neural architecture search with parameters
scoring"; Serianni and Kalita 2023, section 4.1.
"""

from __future__ import annotations

import math

from archscout.metrics.registry import metric
from archscout.metrics.shared import jacobian
from archscout.tracing.quantities import NOISE_AMPLITUDES, Trace


@metric(
    needs=jacobian.needs(*NOISE_AMPLITUDES),
    larger_is_better=False,
    source=jacobian.CELOTTI,
    undefined=jacobian.UNDEFINED,
)
def more_noised_jacobian(trace: Trace) -> float:
    """Product of the covariance scores without noise and at amplitudes 0.1, 10 and 100.

    A product of four negative numbers, so smaller is better.

    Examples:
        The noise changes nothing: (-2)⁴.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> gradient = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[..., None]
        >>> trace = Trace(0, torch.zeros(4, 2), embedding_gradient=gradient)
        >>> trace.noised_embedding_gradients = dict.fromkeys(NOISE_AMPLITUDES, gradient)
        >>> round(more_noised_jacobian(trace), 4)
        16.0
    """
    return math.prod(jacobian.covariance(trace, a) for a in (0.0, *NOISE_AMPLITUDES))


@metric(
    needs=jacobian.needs(*NOISE_AMPLITUDES),
    larger_is_better=True,
    source=jacobian.CELOTTI,
    undefined=jacobian.UNDEFINED,
)
def more_noised_jacobian_cosine(trace: Trace) -> float:
    """Product of the cosine scores without noise and at amplitudes 0.1, 10 and 100.

    Examples:
        All gradients at right angles, but for parallel ones at the largest amplitude.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> square = torch.eye(2)[..., None]
        >>> trace = Trace(0, torch.zeros(2, 2), embedding_gradient=square)
        >>> trace.noised_embedding_gradients = {0.1: square, 10.0: square, 100.0: 0 * square + 1}
        >>> round(more_noised_jacobian_cosine(trace), 6)
        0.5
    """
    return math.prod(jacobian.cosine(trace, a) for a in (0.0, *NOISE_AMPLITUDES))
