"""NASWOT (Mellor et al. 2021): how many codes of switched activations the inputs have.

On networks without attention this is activation distance. With attention, activation distance is
Serianni and Kalita's, between the positions of one input; this is the original.
"""

from archscout.metrics.registry import metric
from archscout.metrics.shared.activation_codes import log_determinant
from archscout.tracing.quantities import Trace


@metric(
    needs={"activations"},
    larger_is_better=True,
    source="Mellor et al. 2021, equation 2",
    undefined="two inputs switch every activation alike, or activations are not finite",
)
def naswot(trace: Trace) -> float:
    """Logarithm of the determinant of N - d(b, c), d the Hamming distance of two inputs' codes.

    An input's code is (output > 0) of all N activations: those of every activation, position or
    step, and unit.

    Examples:
        Three units; two inputs that differ in one: log det [[3, 2], [2, 3]] = log 5.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> outputs = torch.tensor([[[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]])  # (T, B, H) of 1, 2, 3
        >>> round(naswot(Trace(0, torch.zeros(1, 2), activations=[outputs])), 4)
        1.6094
    """
    return log_determinant(trace)
