"""The spectral score that several metrics share."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from archscout.metrics.shared.spectral_score import STABILISER, correlation, spectral_score


def by_eigenvalues(rows: Tensor) -> float:
    """The definition: -sum(log(lambda + k) + 1 / (lambda + k)), k = 1e-5."""
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows.double().numpy()))
    return -float(np.sum(np.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5)))


def random_rows(n: int, columns: int, seed: int = 0) -> Tensor:
    """Normal rows of different means and deviations."""
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, columns, dtype=torch.float64, generator=rng)
    scales = torch.linspace(0.1, 10, n, dtype=torch.float64)[:, None]
    return (rows + 3) * scales


@given(st.integers(2, 30), st.integers(2, 60), st.integers(0, 2**32))
def test_it_is_the_sum_over_the_eigenvalues_of_the_correlations(
    n: int, columns: int, seed: int
) -> None:
    # With n > columns, n - columns + 1 eigenvalues vanish.
    rows = random_rows(n, columns, seed)
    assert spectral_score(rows) == pytest.approx(by_eigenvalues(rows), rel=1e-6)


@pytest.mark.parametrize("n", [200, 201, 450])
def test_it_is_the_same_sum_where_rows_are_many(n: int) -> None:
    rows = random_rows(n, 600)
    assert spectral_score(rows) == pytest.approx(by_eigenvalues(rows), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 5, 11])
def test_vanishing_eigenvalues_count_as_the_stabiliser_says(rank: int) -> None:
    n = 12
    rng = torch.Generator().manual_seed(rank)
    factors = torch.randn(n, rank, dtype=torch.float64, generator=rng)
    rows = factors @ torch.randn(rank, 400, dtype=torch.float64, generator=rng)
    score = spectral_score(rows)
    assert score == pytest.approx(by_eigenvalues(rows), rel=1e-6)
    lost = (n - rank) * (math.log(STABILISER) + 1 / STABILISER)
    assert score < -lost + 20


def test_equal_rows_leave_one_eigenvalue_of_n() -> None:
    row = random_rows(1, 50)
    expected = -(math.log(4 + 1e-5) + 1 / (4 + 1e-5)) - 3 * (math.log(1e-5) + 1e5)
    assert spectral_score(row.repeat(4, 1)) == pytest.approx(expected, rel=1e-6)


def test_orthogonal_rows_score_minus_their_number() -> None:
    signs = torch.tensor([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    assert spectral_score(signs) == pytest.approx(-3 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)))


def test_independent_rows_score_about_minus_their_number() -> None:
    rows = random_rows(8, 100_000)
    assert spectral_score(rows) == pytest.approx(-8, abs=0.01)


@given(st.integers(2, 12), st.integers(2, 40), st.integers(0, 2**32))
def test_it_is_never_above_minus_the_number_of_rows(n: int, columns: int, seed: int) -> None:
    # log(lambda) + 1 / lambda is at least 1 everywhere.
    assert spectral_score(random_rows(n, columns, seed)) <= -n


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 0.1, 0.7, 1e-20, 3e7])
def test_a_constant_row_gives_nan(value: float) -> None:
    rows = random_rows(4, 703).float()
    rows[2] = value
    assert math.isnan(spectral_score(rows))


def test_a_constant_row_of_float64_gives_nan() -> None:
    rows = random_rows(4, 703)
    rows[2] = 0.1
    assert math.isnan(spectral_score(rows))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_gives_nan(value: float) -> None:
    rows = random_rows(4, 30)
    rows[1, 7] = value
    assert math.isnan(spectral_score(rows))


def test_rows_near_the_largest_float_still_have_a_score() -> None:
    rows = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    assert spectral_score(rows * 1e37) == pytest.approx(spectral_score(rows), rel=1e-5)


@given(st.integers(0, 2**32))
def test_the_order_of_rows_and_of_columns_does_not_matter(seed: int) -> None:
    rows = random_rows(6, 20, seed)
    rng = torch.Generator().manual_seed(seed)
    shuffled = rows[torch.randperm(6, generator=rng)][:, torch.randperm(20, generator=rng)]
    assert spectral_score(shuffled) == pytest.approx(spectral_score(rows), rel=1e-9)


@given(st.integers(0, 2**32))
def test_shift_scale_and_sign_of_a_row_do_not_matter(seed: int) -> None:
    rows = random_rows(6, 20, seed)
    rng = torch.Generator().manual_seed(seed)
    shift = torch.randn(6, 1, dtype=torch.float64, generator=rng)
    scale = torch.rand(6, 1, dtype=torch.float64, generator=rng) + 0.5
    scale[::2] *= -1
    assert spectral_score(rows * scale + shift) == pytest.approx(spectral_score(rows), rel=1e-6)


def test_float32_rows_are_accumulated_in_float64() -> None:
    # The mean dwarfs the deviation: float32 sums would leave nothing of the correlations.
    rows = (random_rows(5, 5000) / 3 + 2000).float()
    assert spectral_score(rows) == pytest.approx(by_eigenvalues(rows), rel=1e-9)
    assert correlation(rows).dtype == torch.float64


def test_the_rows_are_left_as_they_were() -> None:
    rows = random_rows(5, 20)
    before = rows.clone()
    spectral_score(rows)
    assert torch.equal(rows, before)


def test_correlations_are_those_of_numpy() -> None:
    rows = random_rows(7, 40)
    expected = np.tril(np.corrcoef(rows.numpy()))
    assert np.allclose(np.tril(correlation(rows).numpy()), expected, atol=1e-12)


def test_one_row_correlates_with_itself_alone() -> None:
    assert math.isnan(spectral_score(random_rows(1, 20)))
