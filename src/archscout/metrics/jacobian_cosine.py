"""Jacobian cosine: at what angles the gradients of inputs (or, with attention, features) stand.

Sources: Celotti et al. 2020; Serianni and Kalita 2023, sections 4.1 (recurrent networks) and 5.1
(encoders); see `shared.jacobian`.
"""

from archscout.metrics.registry import metric
from archscout.metrics.shared import jacobian
from archscout.metrics.shared.cosine_score import cosine_score
from archscout.tracing.quantities import Trace


@metric(
    needs={"embedding_gradient"},
    larger_is_better=True,
    source=jacobian.CELOTTI,
    undefined=jacobian.UNDEFINED,
    with_attention={
        "needs": {"position_gradient"},
        "undefined": "the gradient of a feature is zero, or not finite",
    },
)
def jacobian_cosine(trace: Trace) -> float:
    """Score of the cosines between the inputs' gradients, or features': see `cosine_score`.

    Of the rows of `jacobian_covariance`: 1 where they stand at right angles, ½ where they are
    parallel.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> gradient = torch.eye(2)[:, :, None]  # (T, B, E) of 2, 2, 1
        >>> jacobian_cosine(Trace(0, torch.zeros(2, 2), embedding_gradient=gradient))
        1.0
    """
    if trace.has_attention:
        return cosine_score(jacobian.of_positions(trace))
    return jacobian.cosine(trace)
