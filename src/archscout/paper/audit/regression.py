"""Ordinary least squares with standard errors and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from archscout.errors import InputError


@dataclass(frozen=True)
class Regression:
    """A fitted linear model.

    Attributes:
        table: one row a term, `constant` first: `coefficient`, `error` (its standard error), `low`
            and `high` (95 % interval), `t`, `p` (two-sided, of a coefficient of zero).
        n: observations.
        degrees: of freedom of the residuals, n less the number of terms.
        r_squared: share of the variance that is explained.
        residual_squares: sum of the squared residuals.
    """

    table: pd.DataFrame = field(repr=False)
    n: int
    degrees: int
    r_squared: float
    residual_squares: float


@dataclass(frozen=True)
class JointTest:
    """Are several coefficients all zero? F, its degrees of freedom (theirs, the residuals'), p."""

    f: float
    degrees: tuple[int, int]
    p: float


def least_squares(predictors: pd.DataFrame, response: pd.Series) -> Regression:
    """Fit response = constant + predictors · coefficients by ordinary least squares.

    With X = QR (a column of ones first), the coefficients are R⁻¹ Qᵀ y, and their covariance is
    s² (RᵀR)⁻¹ with s² the sum of squared residuals over n less the number of terms. p-values are
    of Student's t with that many degrees of freedom.

    Args:
        predictors: (n, k) finite.
        response: (n,) finite, in the same order.

    Raises:
        InputError: there are no more observations than terms, or a predictor is a combination of
            the others.

    Example:
        >>> x = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
        >>> least_squares(x, pd.Series([1.0, 3.0, 5.0, 7.5])).table["coefficient"].round(
        ...     2
        ... ).to_dict()
        {'constant': 0.9, 'x': 2.15}
    """
    x, y = predictors.to_numpy(dtype=float), response.to_numpy(dtype=float)
    x = np.column_stack([np.ones(len(x)), x])
    n, terms = x.shape
    if n <= terms:
        raise InputError(f"{n} observations for {terms} terms; a regression takes more than that")
    # Terms of very different sizes would hide a dependence.
    sizes = np.linalg.norm(x, axis=0)
    if not sizes.all() or np.linalg.matrix_rank(x / sizes) < terms:
        raise InputError(
            f"predictors {', '.join(map(str, predictors))} depend on each other in these {n} "
            "observations, so their coefficients cannot be told apart"
        )
    q, r = np.linalg.qr(x)
    coefficients = np.linalg.solve(r, q.T @ y)
    residuals = y - x @ coefficients
    degrees = n - terms
    residual_squares = float(residuals @ residuals)
    inverse = np.linalg.inv(r)
    errors = np.sqrt(residual_squares / degrees * (inverse**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = coefficients / errors
    reach = stats.t.ppf(0.975, degrees) * errors
    ends = {"low": coefficients - reach, "high": coefficients + reach}
    tests = {"t": t, "p": 2 * stats.t.sf(np.abs(t), degrees)}
    table = pd.DataFrame(
        {"coefficient": coefficients, "error": errors, **ends, **tests},
        index=pd.Index(["constant", *map(str, predictors)], name="term"),
    )
    total = float(((y - y.mean()) ** 2).sum())
    r_squared = 1 - residual_squares / total if total else float("nan")
    return Regression(table, n, degrees, r_squared, residual_squares)


def joint_test(predictors: pd.DataFrame, response: pd.Series, tested: Sequence[str]) -> JointTest:
    """F test of the hypothesis that the coefficients of some predictors are all zero.

    F = ((RSS₀ - RSS) / m) / (RSS / d), RSS₀ without the m tested predictors, RSS with all, d its
    degrees of freedom.
    """
    full = least_squares(predictors, response)
    reduced = least_squares(predictors.drop(columns=list(tested)), response)
    count = len(tested)
    gain = (reduced.residual_squares - full.residual_squares) / count
    noise = full.residual_squares / full.degrees
    f = float(np.divide(gain, noise)) if noise else float("inf")
    return JointTest(f, (count, full.degrees), float(stats.f.sf(f, count, full.degrees)))
