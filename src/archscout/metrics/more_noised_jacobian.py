"""More-noised Jacobian: a score under noise of several amplitudes on the embeddings.

Sources: Celotti et al. 2020; Serianni and Kalita 2023, section 4.1; see `shared.jacobian`.
"""

import math

from archscout.metrics.shared import jacobian
from archscout.tracing.quantities import NOISE_AMPLITUDES, Trace


@jacobian.under_noise(*NOISE_AMPLITUDES, larger_is_better=False)
def more_noised_jacobian(trace: Trace) -> float:
    """Product of the covariance scores without noise and at amplitudes 0.1, 10 and 100.

    A product of four negative numbers, so smaller is better.

    Examples:
        The noise changes nothing: (-2)⁴, and of the cosine scores 1.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> gradient = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[..., None]
        >>> trace = Trace(0, torch.zeros(4, 2), embedding_gradient=gradient)
        >>> trace.noised_embedding_gradients = dict.fromkeys(NOISE_AMPLITUDES, gradient)
        >>> round(more_noised_jacobian(trace), 4), more_noised_jacobian_cosine(trace)
        (16.0, 1.0)
    """
    return math.prod(jacobian.covariance(trace, a) for a in (0.0, *NOISE_AMPLITUDES))


@jacobian.under_noise(*NOISE_AMPLITUDES, larger_is_better=True)
def more_noised_jacobian_cosine(trace: Trace) -> float:
    """Product of the cosine scores without noise and at amplitudes 0.1, 10 and 100."""
    return math.prod(jacobian.cosine(trace, a) for a in (0.0, *NOISE_AMPLITUDES))
