"""AZ-NAS's expressivity (Lee and Ham 2024), one of its four proxies.

The paper reads the features that residual blocks return; here they are the hidden states of the
layers. It ranks by the sum of the logarithms of the four ranks, of transformers without
progressivity: their layers are all of one width.
"""

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.principal_components import principal_variances
from archscout.tracing.quantities import Trace

_SOURCE = "Lee and Ham 2024, section 3.2"


def _entropy(states: Tensor) -> float:
    """Entropy in nats of the shares that principal components have in the variance of states."""
    variances = principal_variances(states)
    return float(torch.special.entr(variances / variances.sum()).sum())


def entropies_of_layers(trace: Trace) -> list[float]:
    """By layer, how evenly principal components share the variance of its states, in nats."""
    return trace.once(_entropies, "", trace)


def _entropies(trace: Trace) -> list[float]:
    return [_entropy(states) for states in trace.hidden_states]


@metric(
    needs={"hidden_states"},
    larger_is_better=True,
    source=_SOURCE,
    undefined="the hidden states of a layer do not vary, or are not finite",
)
def az_expressivity(trace: Trace) -> float:
    """Σ over layers of the entropy of the shares of principal components in their states' variance.

    In nats; one observation a position (or step) and input of the states (T, B, H).

    Examples:
        Two components of equal variance have an entropy of log 2.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> states = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[:, None]
        >>> trace = Trace(0, torch.zeros(4, 1), hidden_states=[states])
        >>> round(az_expressivity(trace), 4)
        0.6931
    """
    return sum(entropies_of_layers(trace))
