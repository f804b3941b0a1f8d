"""The principal components of a layer's features, which several metrics share."""

import math

import torch
from torch import Tensor

from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding


def principal_variances(features: Tensor) -> Tensor:
    """Variances along the principal components, largest first, in float64.

    Args:
        features: (positions, inputs, H), one observation a position and input.

    Returns:
        One variance a component, as many as the fewer of observations and features; all zero for
        features that do not vary, NaN where one is not finite.
    """
    observations = features.flatten(0, -2).double()
    count, width = observations.shape
    mean = observations.mean(0)
    centred = observations - mean
    still = rounding(mean.abs(), features.dtype, count)
    centred.masked_fill_(centred.square().sum(0) <= still.square(), 0)
    # Both products have the same eigenvalues, but for zeros.
    scatter = centred.t() @ centred if width <= count else centred @ centred.t()
    if not is_finite(scatter):
        return torch.full_like(scatter.diagonal(), math.nan)
    variances: Tensor = torch.linalg.eigvalsh(scatter / count)
    return variances.clamp_(min=0).flip(0)
