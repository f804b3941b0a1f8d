"""Large-noise Jacobian: how little noise of amplitude 10 on the embeddings changes a score.

Sources: Celotti et al. 2020; Serianni and Kalita 2023, section 4.1; see `shared.jacobian`.
"""

from archscout.metrics.shared import jacobian
from archscout.tracing.quantities import Trace

_AMPLITUDE = 10.0


@jacobian.under_noise(_AMPLITUDE, larger_is_better=True)
def large_noise_jacobian(trace: Trace) -> float:
    """1 - |s(J) - s(J')|, s the covariance score, J' the Jacobian under noise of amplitude 10.

    J has one row an input, (B, T * E). Among the published networks a larger value goes with a
    smaller loss.

    Examples:
        Gradients at right angles become parallel: their cosine score falls from 1 to ½.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> trace = Trace(0, torch.zeros(2, 2), embedding_gradient=torch.eye(2)[..., None])
        >>> trace.noised_embedding_gradients = {10.0: torch.eye(2)[..., None]}
        >>> large_noise_jacobian(trace)
        1.0
        >>> trace.noised_embedding_gradients = {10.0: torch.ones(2, 2, 1)}
        >>> round(large_noise_jacobian_cosine(trace), 6)
        0.5
    """
    return 1 - abs(jacobian.covariance(trace) - jacobian.covariance(trace, _AMPLITUDE))


@jacobian.under_noise(_AMPLITUDE, larger_is_better=False)
def large_noise_jacobian_cosine(trace: Trace) -> float:
    """1 - |s(J) - s(J')|, s the cosine score, J' the Jacobian under noise of amplitude 10.

    Near 1 where all inputs act alike, so among the published networks smaller is better.
    """
    return 1 - abs(jacobian.cosine(trace) - jacobian.cosine(trace, _AMPLITUDE))
