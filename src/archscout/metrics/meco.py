"""MeCo (Jiang et al. 2023): the smallest eigenvalue of the correlations between feature maps.

A network converges faster and generalises better the larger it is. The feature maps of a layer are
here the units of an activation, each with its values at all positions (or steps) of all inputs. The
paper takes one random image, whose positions are more than a layer has channels; one sentence has
fewer positions than a layer has units, and every smallest eigenvalue would be zero.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from archscout.metrics.registry import metric
from archscout.metrics.shared.finite import is_finite
from archscout.metrics.shared.spectral_score import correlation
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

SAMPLED_UNITS = 8

_of_activations = metric(
    needs={"activations"},
    larger_is_better=True,
    source="Jiang et al. 2023, section 4",
    undefined="activations are not finite",
)


def _smallest_eigenvalue(rows: Tensor) -> float:
    """Of the correlations between rows (n, columns); a row that does not vary makes it zero."""
    if not is_finite(rows):
        return math.nan
    # Centred rows span fewer dimensions than there are columns.
    if len(rows) >= rows.shape[1]:
        return 0.0
    matrix = correlation(rows)
    if not is_finite(matrix.diagonal()):
        return 0.0
    eigenvalues = torch.linalg.eigvalsh(matrix)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    # An eigenvalue is the square of a singular value of the rows, which are no more exact than
    # their format; the decomposition has errors of its own.
    of_rows = rounding(1.0, rows.dtype) ** 2 * len(rows)
    return smallest if smallest > of_rows + rounding(largest, matrix.dtype, len(rows)) else 0.0


def _feature_maps(trace: Trace) -> Iterable[Tensor]:
    """Of each activation, its units' values, (H, T * B)."""
    return (outputs.flatten(0, -2).t() for outputs in trace.activations)


@_of_activations
def meco(trace: Trace) -> float:
    """Σ over activations of the smallest eigenvalue of the correlations between their units.

    Zero for an activation of which a unit does not vary, or with as many units as positions.

    Examples:
        Two units that do not correlate.

        >>> from archscout.tracing import Trace
        >>> outputs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[:, None]
        >>> trace = Trace(0, torch.zeros(4, 1), activations=[outputs])
        >>> round(meco(trace), 4), round(meco_opt(trace), 4)
        (1.0, 1.0)
    """
    return sum(_smallest_eigenvalue(units) for units in _feature_maps(trace))


@_of_activations
def meco_opt(trace: Trace) -> float:
    """As `meco` from 8 units of each activation, chosen at random, times (units / 8).

    Activations of one width have the same units chosen.
    """
    total = 0.0
    for units in _feature_maps(trace):
        chosen = torch.randperm(len(units), generator=torch.Generator().manual_seed(0))
        sample = units[chosen[:SAMPLED_UNITS].to(units.device)]
        total += len(units) / len(sample) * _smallest_eigenvalue(sample)
    return total
