"""Searches simulated on a benchmark: against brute force, and against probabilities."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from archscout.analysis.search_comparison import RANDOM, compare_searches, simulate
from archscout.errors import InputError

N = 30
NAMES = [f"architecture {i}" for i in range(N)]


def by_hand(ranks, results, order, trained, budget):
    """The best result among the `trained` best by rank of the first `budget` that are met."""
    met = sorted(order[:budget], key=lambda item: -ranks[item])  # ties: in the order met
    return max(results[item] for item in met[:trained])


def test_it_equals_brute_force():
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 8, N)
    results = rng.normal(size=N)
    orders = rng.permuted(np.tile(np.arange(N, dtype=np.int32), (20, 1)), axis=1)
    budgets = np.array([1, 2, 3, 7, N])
    found = simulate(ranks, results, orders.T, (1, 3, 5), budgets)
    expected = [
        [[by_hand(ranks, results, order, k, budget) for order in orders] for budget in budgets]
        for k in (1, 3, 5)
    ]
    assert np.array_equal(found, expected)


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(1)
    losses = pd.Series(rng.permutation(N) / 10, index=NAMES, name="loss")
    scores = pd.DataFrame({"perfect": -losses, "noisy": rng.normal(size=N) - losses}, index=NAMES)
    return scores, losses


def found_by(table, search, trained, scored):
    chosen = (
        (table["search"] == search) & (table["trained"] == trained) & (table["scored"] == scored)
    )
    return table[chosen].iloc[0]


def compared(scores, losses, **settings):
    larger = dict.fromkeys(scores, True)
    return compare_searches(
        scores, losses, larger_is_better=larger, result_larger_is_better=False, **settings
    )


def test_means_are_those_of_all_orders(scored):
    """The best by score of N drawn is the r-th best of all with a hypergeometric probability."""
    scores, losses = scored
    table = compared(scores, losses, orders=20_000)
    best_first = losses[scores["noisy"].sort_values(ascending=False).index].to_numpy()
    for budget in (1, 3, 10, N):
        shares = [comb(N - r, budget - 1) / comb(N, budget) for r in range(1, N + 1)]
        mean = found_by(table, "noisy", 1, budget)["mean"]
        assert mean == pytest.approx(float(best_first @ shares), abs=0.03)


def test_a_perfect_metric_finds_the_best_that_it_meets(scored):
    scores, losses = scored
    table = compared(scores, losses, orders=200)
    row = found_by(table, "perfect", 1, N)
    assert row["mean"] == row["low"] == row["high"] == losses.min()
    assert row["random_trainings"] == N
    one, five = (found_by(table, "perfect", k, 10)["mean"] for k in (1, 5))
    assert one == five


def test_random_search_trains_the_first_that_it_meets(scored):
    scores, losses = scored
    table = compared(scores, losses, orders=20_000)
    assert found_by(table, RANDOM, 1, N)["mean"] == pytest.approx(losses.mean(), abs=0.02)
    for k in (1, 5):
        rows = table[(table["search"] == RANDOM) & (table["trained"] == k)]
        after = rows[rows["scored"] >= k]
        assert after["mean"].nunique() == 1
        assert set(after["random_trainings"]) == {k}
    best_of_five = sum(
        loss * comb(N - r, 4) / comb(N, 5) for r, loss in enumerate(sorted(losses), start=1)
    )
    assert found_by(table, RANDOM, 5, N)["mean"] == pytest.approx(best_of_five, abs=0.02)


def test_failed_trainings_count_as_the_worst_and_missing_scores_as_last():
    scores = pd.DataFrame({"metric": [9.0, np.nan, np.inf, 1.0]}, index=list("abcd"))
    losses = pd.Series({"a": np.nan, "b": 5.0, "c": 6.0, "d": 7.0})
    table = compared(scores, losses, orders=50, trained=(1, 2))
    assert found_by(table, "metric", 1, 4)["mean"] == 7.0
    assert found_by(table, "metric", 2, 4)["mean"] == 7.0
    without = compared(scores.drop(index="a"), losses, orders=50)
    assert found_by(without, "metric", 1, 3)["mean"] == 7.0


def test_larger_results_may_be_better(scored):
    scores, losses = scored
    turned = compare_searches(
        -scores,
        -losses,
        larger_is_better=dict.fromkeys(scores, False),
        result_larger_is_better=True,
        orders=100,
    )
    table = compared(scores, losses, orders=100)
    assert np.allclose(turned["mean"], -table["mean"])
    assert np.allclose(turned["low"], -table["high"])
    assert turned["random_trainings"].equals(table["random_trainings"])


def test_the_seed_decides(scored):
    scores, losses = scored
    first, again, other = (compared(scores, losses, orders=20, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"orders": 0}, "orders is 0"),
        ({"trained": (1, 0)}, "trained is 0"),
    ],
)
def test_bad_numbers(scored, settings, message):
    with pytest.raises(InputError, match=message):
        compared(*scored, **settings)


def test_bad_scores_and_results(scored):
    scores, losses = scored
    with pytest.raises(InputError, match="no architecture has a result"):
        compared(scores, losses * np.nan)
    with pytest.raises(InputError, match="a metric is called 'random'"):
        compared(scores.rename(columns={"noisy": RANDOM}), losses)
