"""Sizes of a network, for which neither weights nor text are needed: baselines to beat.

The number of layers, squared, times the hidden size orders the published encoders by their GLUE
scores better than any published metric.
"""

from __future__ import annotations

from archscout.metrics.registry import metric
from archscout.tracing.quantities import Trace

_SOURCE = "White et al. 2022, as a baseline"


@metric(needs={"flops"}, larger_is_better=True, source=_SOURCE)
def flops(trace: Trace) -> float:
    """Floating-point operations per token of one forward pass."""
    return trace.flops


@metric(needs={"depth"}, larger_is_better=True, source=_SOURCE)
def depth(trace: Trace) -> float:
    """Number of layers of a transformer, linear maps of any module, or nodes of a recurrent cell.

    Of a recurrent network it is layers times the nodes on the longest path through a step.
    """
    return trace.depth


@metric(needs={"width"}, larger_is_better=True, source=_SOURCE)
def width(trace: Trace) -> float:
    """Hidden size of a transformer, mean outputs of any module's linear maps, or units of a cell.

    Of a recurrent network it is hidden states times the units of the widest layer.
    """
    return trace.width


@metric(needs={"depth", "width"}, larger_is_better=True, source=_SOURCE)
def depth_times_width(trace: Trace) -> float:
    """Depth times width."""
    return trace.depth * trace.width


@metric(needs={"depth", "width"}, larger_is_better=True, source=_SOURCE)
def depth_squared_times_width(trace: Trace) -> float:
    """Depth squared times width."""
    return trace.depth**2 * trace.width
