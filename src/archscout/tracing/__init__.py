"""The trace: what metrics read, and the fewest passes over a network that fill it."""

from archscout.tracing.passes import trace
from archscout.tracing.quantities import (
    OBJECTIVES,
    QUANTITIES,
    Objective,
    Trace,
    WeightGradient,
)

__all__ = ["OBJECTIVES", "QUANTITIES", "Objective", "Trace", "WeightGradient", "trace"]
