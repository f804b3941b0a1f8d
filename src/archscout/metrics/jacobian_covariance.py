"""Jacobian covariance: how differently inputs (or, with attention, features) act on the output.

Sources: Mellor et al. 2021, "Neural architecture search without training" (first version);
Serianni and Kalita 2023, sections 4.1 (recurrent networks) and 5.1 (encoders).
"""

from archscout.metrics.registry import metric
from archscout.metrics.shared import jacobian
from archscout.metrics.shared.spectral_score import spectral_score
from archscout.tracing.quantities import Trace


@metric(
    needs={"embedding_gradient"},
    larger_is_better=True,
    source=jacobian.MELLOR,
    undefined=jacobian.UNDEFINED,
    with_attention={
        "needs": {"position_gradient"},
        "larger_is_better": False,
        "undefined": "the gradients of a feature do not vary, or are not finite",
    },
)
def jacobian_covariance(trace: Trace) -> float:
    """Spectral score of the correlations between the inputs' gradients; with attention, features'.

    The gradient of the objective, by default the sum of the last layer's raw output, with respect
    to the embeddings, one row an input, (B, T * E).

    Where the network has attention, with respect to the embedding of positions, one row a feature,
    (E, positions). The literature expects more of better networks; among the published encoders,
    scored as they were trained with gradients of a cotangent, it falls with the GLUE score, so
    smaller is better there; with those of the loss it rises.

    Examples:
        Two inputs whose gradients do not correlate score about -2, as many as there are.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> gradient = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[..., None]
        >>> trace = Trace(0, torch.zeros(4, 2), embedding_gradient=gradient)
        >>> round(jacobian_covariance(trace), 4)
        -2.0
    """
    if trace.has_attention:
        return spectral_score(jacobian.of_positions(trace))
    return jacobian.covariance(trace)
