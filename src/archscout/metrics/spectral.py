"""The spectral score of a matrix's correlations, which several metrics share.

Source: Mellor et al. 2021, "Neural architecture search without training" (first version),
equation 3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

STABILISER = 1e-5


def correlation(rows: Tensor) -> Tensor:
    """Correlations (n, n) between the n rows of a matrix (n, columns), in float64.

    A row that does not vary gives NaN in its row and column.
    """
    centred = rows.double()
    centred = centred - centred.mean(1, keepdim=True)
    deviation = centred.square().sum(1).sqrt()
    covariance = centred @ centred.t()
    return covariance / (deviation[:, None] * deviation[None, :])


def spectral_score(rows: Tensor) -> float:
    """S = -sum(log(lambda + k) + 1 / (lambda + k)) over the eigenvalues of the correlations.

    The sums over eigenvalues are the logarithm of the determinant of R + kI and the trace of its
    inverse, so one Cholesky factor gives both. k = 1e-5.

    Args:
        rows: one row a variable, (n, columns).

    Returns:
        About -n for uncorrelated rows, far less for correlated ones; NaN where a row does not
        vary or is not finite.
    """
    matrix = correlation(rows)
    if not bool(torch.isfinite(matrix).all()):
        return math.nan
    matrix.diagonal().add_(STABILISER)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        return math.nan
    log_determinant = 2 * factor.diagonal().log().sum()
    inverse_trace = torch.cholesky_inverse(factor).diagonal().sum()
    return -float(log_determinant + inverse_trace)
