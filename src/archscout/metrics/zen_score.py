"""Zen-score (Lin et al. 2021): how far a small change of a Gaussian input moves the output."""

import math

from archscout.metrics.registry import metric
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace


@metric(
    needs={"gaussian_outputs"},
    larger_is_better=True,
    source="Lin et al. 2021, algorithm 1",
    undefined="the output does not depend on its input, or is not finite",
)
def zen_score(trace: Trace) -> float:
    """Logarithm of the mean over inputs of ‖y(e) - y(e + 0.01 ε)‖₁, y the last features.

    e and ε are standard normal embeddings, the norm is that of the released code (the paper
    writes the Euclidean one). The score's second term, Σ log √(variance) over batch norms, undoes
    what they scale away: networks without them lack it. Layer norms scale as much, and nothing
    undoes that.

    Examples:
        >>> import torch
        >>> from archscout.tracing import Trace
        >>> before, after = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
        >>> zen_score(Trace(0, torch.zeros(1, 1), gaussian_outputs=(before, after))) == math.log(4)
        True
    """
    assert trace.gaussian_outputs is not None
    outputs, moved = trace.gaussian_outputs
    # Whatever the axes of the output are: inputs may have been pooled, or numbered first.
    differences = (outputs.double() - moved.double()).abs_()
    # What is no more than rounding of the output is no answer to the change.
    differences[differences <= rounding(outputs.abs(), outputs.dtype)] = 0
    distance = float(differences.sum()) / trace.minibatch.shape[1]
    return math.log(distance) if distance else -math.inf
