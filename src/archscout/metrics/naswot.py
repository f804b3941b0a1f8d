"""NASWOT (Mellor et al. 2021): how many codes of switched activations the inputs have.

On networks that are no transformers this is activation distance. On transformers activation
distance is Serianni and Kalita's, between the positions of one input; this is the original.
"""

from __future__ import annotations

from archscout.metrics.activation_distance import log_determinant
from archscout.metrics.registry import metric
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
    """
    return log_determinant(trace)
