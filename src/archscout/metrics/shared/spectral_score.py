"""The spectral score of a matrix's correlations, which several metrics share.

Source: Mellor et al. 2021, "Neural architecture search without training" (first version),
equation 3.
"""

import math

import torch
from torch import Tensor

from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding

STABILISER = 1e-5

_BLOCK = 200  # rows of the correlation matrix that are computed together


def correlation(rows: Tensor) -> Tensor:
    """Correlations between the n rows of a matrix (n, columns): the lower triangle, in float64.

    What stands above the diagonal's blocks is not filled, for it would double the work. A row
    that does not vary, but for rounding, gives NaN in its row and column.
    """
    # Time goes into memory, not arithmetic: after the copy everything happens in place, and the
    # rows are scaled to unit length only where they are few, in the product.
    centred = rows.double() if rows.dtype != torch.float64 else rows.clone()
    mean = centred.mean(1, keepdim=True)
    centred -= mean
    n, columns = centred.shape
    product = centred.new_zeros(n, n)
    for start in range(0, n, _BLOCK):
        block, so_far = slice(start, start + _BLOCK), slice(start + _BLOCK)
        torch.mm(centred[block], centred[so_far].t(), out=product[block, so_far])
    deviation = product.diagonal().sqrt()
    still = rounding(mean[:, 0].abs(), rows.dtype, columns)
    deviation.masked_fill_(deviation <= still, math.nan)
    return product.div_(deviation[:, None]).div_(deviation[None, :])


def spectral_score(rows: Tensor) -> float:
    """S = -sum(log(lambda + k) + 1 / (lambda + k)) over the eigenvalues of the correlations.

    The sums over eigenvalues are the logarithm of the determinant of R + kI and the trace of its
    inverse, so one Cholesky factor gives both. k = 1e-5.

    Args:
        rows: one row a variable, (n, columns).

    Returns:
        About -n for uncorrelated rows, far less for correlated ones; NaN where a row does not
        vary or is not finite, or is alone: it correlates with itself whatever it holds.
    """
    if len(rows) < 2:
        return math.nan
    matrix = correlation(rows)
    if not is_finite(matrix):
        return math.nan
    matrix.diagonal().add_(STABILISER)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        return math.nan
    log_determinant = 2 * factor.diagonal().log().sum()
    inverse_trace = torch.cholesky_inverse(factor).diagonal().sum()
    return -float(log_determinant + inverse_trace)
