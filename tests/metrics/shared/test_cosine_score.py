"""Cosine scores of rows; the metrics themselves are compared in test_definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archscout import Scorer
from archscout.metrics.shared.cosine_score import cosine_score
from archscout.spaces import Recipe, RecurrentScale
from archscout.text import Corpus


def random_rows(n: int = 6, columns: int = 30, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))


def test_parallel_rows_score_a_half() -> None:
    row = random_rows(1)
    rows = torch.cat([row, 3 * row, -0.1 * row])
    assert cosine_score(rows) == pytest.approx(0.5, abs=1e-6)


def test_orthogonal_rows_score_exactly_one() -> None:
    # An own cosine that is a rounding error off 1 - 1 would count 0.4 a row.
    assert cosine_score(torch.eye(5, 20)) == 1


def test_one_pair_at_a_known_angle() -> None:
    rows = torch.tensor([[1.0, 0.0], [math.cos(1.2), math.sin(1.2)]])
    assert cosine_score(rows) == pytest.approx(1 - math.cos(1.2) ** (1 / 20) / 2, rel=1e-6)


@given(st.integers(0, 2**32))
def test_scores_lie_between_a_half_and_one(seed: int) -> None:
    assert 0.5 <= cosine_score(random_rows(seed=seed)) <= 1


@given(st.integers(0, 2**32))
def test_length_sign_and_order_of_rows_do_not_matter(seed: int) -> None:
    rows = random_rows(seed=seed)
    rng = torch.Generator().manual_seed(seed)
    factors = torch.rand(6, 1, generator=rng) + 0.1
    factors[::2] *= -1
    other = (rows * factors)[torch.randperm(6, generator=rng)]
    assert cosine_score(other) == pytest.approx(cosine_score(rows), abs=1e-4)


def test_a_row_of_zeros_has_no_cosine() -> None:
    rows = random_rows()
    rows[2] = 0
    assert math.isnan(cosine_score(rows))


@pytest.mark.parametrize("factor", [1e25, 1e-25])
def test_very_long_and_very_short_rows_score_as_others(factor: float) -> None:
    assert cosine_score(random_rows() * factor) == pytest.approx(cosine_score(random_rows()))


def test_exploding_gradients_do_not_give_the_best_score() -> None:
    words = tuple(f"w{i * i % 97}" for i in range(1000))
    growing = Recipe.from_json(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "b": {"op": "activation_leaky_relu", "input": ["a"]},
            "twice": {"op": "elementwise_sum", "input": ["h_prev_0", "h_prev_0"]},
            "four_times": {"op": "elementwise_sum", "input": ["twice", "twice"]},
            "h_new_0": {"op": "elementwise_sum", "input": ["b", "four_times"]},
        }
    )
    scale = RecurrentScale(4, 35, 8, 12, 2, "canonical")
    corpus = Corpus("words", {"all": words}, "0" * 64, ("words",))
    result = Scorer("rnn", corpus, ["jacobian_cosine"], scale).score(growing)
    assert result["jacobian_cosine"] < 1 or result.problem


def test_a_single_row_has_no_score() -> None:
    assert math.isnan(cosine_score(random_rows(1)))
