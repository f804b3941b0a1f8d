"""AZ-NAS's progressivity (Lee and Ham 2024), one of its four proxies."""

import math
from itertools import pairwise

from archscout.metrics.az_expressivity import entropies_of_layers
from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace


@metric(
    needs={"hidden_states"},
    larger_is_better=True,
    source="Lee and Ham 2024, section 3.2",
    undefined="it has one layer, or the hidden states of a layer do not vary or are not finite",
)
def az_progressivity(trace: Trace) -> float:
    """Smallest increase of the layers' entropy (as in `az_expressivity`) from one to the next.

    In nats.

    Examples:
        The first layer's states have one component, the second's two of equal variance: log 2.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> second = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[:, None]
        >>> first = second[..., :1]
        >>> round(az_progressivity(Trace(0, torch.zeros(4, 1), hidden_states=[first, second])), 4)
        0.6931
    """
    entropies = entropies_of_layers(trace)
    increases = [after - before for before, after in pairwise(entropies)]
    if not all(map(math.isfinite, increases)):
        return math.nan
    return min(increases, default=math.nan)
