"""W-PCA (Wang 2025): parameters times the principal components of feed-forward hidden states."""

from archscout.metrics.registry import metric
from archscout.metrics.vanilla_pca import vanilla_pca
from archscout.tracing.quantities import Trace


@metric(
    needs={"activations", "parameters"},
    larger_is_better=True,
    source="Wang 2025, section 3",
    undefined="activations are not finite",
    with_attention={"needs": {"preactivations", "parameters"}},
)
def w_pca(trace: Trace) -> float:
    """Number of parameters times `vanilla_pca`.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> features = torch.tensor([[1.0, 5.0], [-1.0, 5.0]])[:, None]
        >>> w_pca(Trace(1000, torch.zeros(2, 1), activations=[features]))
        1000
    """
    return trace.parameters * vanilla_pca(trace)
