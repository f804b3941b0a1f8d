"""The condition number of the neural tangent kernel.

Sources: Jacot et al. 2018, "Neural tangent kernel"; Chen et al. 2021, "Neural architecture search
on ImageNet in four GPU hours" (TE-NAS), section 3.1.1.
"""

import math

import torch

from archscout.metrics.registry import metric
from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace


@metric(
    needs={"tangent_kernel"},
    larger_is_better=False,
    source="Chen et al. 2021, section 3.1.1",
    undefined="the gradients of two or more inputs depend on each other (the kernel is singular), "
    "or are not finite, or the minibatch has one input only",
)
def ntk_condition_number(trace: Trace) -> float:
    """λ_max / λ_min of the tangent kernel of the minibatch's inputs.

    K[b, c] is the product of the gradients of inputs b and c with respect to all linear weights: a
    small condition number says that all inputs can be learnt at one rate. A kernel that is singular
    but for rounding has an infinite one, and ranks last. One input by itself has none.

    Examples:
        >>> from archscout.tracing import Trace
        >>> kernel = torch.diag(torch.tensor([8.0, 2.0]))
        >>> ntk_condition_number(Trace(0, torch.zeros(1, 2), tangent_kernel=kernel))
        4.0
    """
    kernel = trace.tangent_kernel
    assert kernel is not None
    if len(kernel) < 2 or not is_finite(kernel):
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(kernel)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    # An eigenvalue is the square of a singular value of the gradients, which are of float32.
    least = rounding(1.0, torch.float32) ** 2 * len(kernel) * largest
    return largest / smallest if smallest > least else math.inf
