"""Parameters that are no embeddings: the baseline of language models' scaling laws."""

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"non_embedding_parameters"},
    larger_is_better=True,
    source="Kaplan et al. 2020, section 2.1; Javaheripi et al. 2022, as decoder parameters",
)
def non_embedding_parameters(trace: Trace) -> float:
    """Number of parameters but for tables of embeddings: of a decoder, its layers'.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> non_embedding_parameters(Trace(1000, torch.zeros(1, 1), non_embedding_parameters=600))
        600
    """
    return trace.non_embedding_parameters
