"""The variances along principal components against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from archscout.metrics.shared.principal_components import principal_variances


def features(width: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, dtype=torch.float64, generator=rng)
    return torch.randn(5, 3, width, dtype=torch.float64, generator=rng) @ mixing + 2


@pytest.mark.parametrize("width", [4, 15, 40])
def test_they_are_the_eigenvalues_of_the_covariance(width: int) -> None:
    rows = features(width)
    covariance = np.cov(rows.reshape(15, width).numpy(), rowvar=False, bias=True)
    expected = np.linalg.eigvalsh(covariance)[::-1][: min(15, width)]
    assert principal_variances(rows).numpy() == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 30), st.integers(0, 2**32))
def test_they_add_up_to_the_variance_and_do_not_increase(width: int, seed: int) -> None:
    rows = features(width, seed)
    variances = principal_variances(rows)
    total = rows.reshape(15, width).var(0, unbiased=False).sum()
    assert float(variances.sum()) == pytest.approx(float(total), rel=1e-9)
    assert bool((variances.diff() <= 1e-9 * total).all()) and bool((variances >= 0).all())


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
def test_features_that_do_not_vary_have_no_variance(value: float) -> None:
    assert not bool(principal_variances(torch.full((5, 3, 4), value)).any())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_give_nan(value: float) -> None:
    rows = features(4)
    rows[1, 2, 3] = value
    assert bool(principal_variances(rows).isnan().all())


def test_the_features_are_left_as_they_were() -> None:
    rows = features(4)
    before = rows.clone()
    principal_variances(rows)
    assert torch.equal(rows, before)
