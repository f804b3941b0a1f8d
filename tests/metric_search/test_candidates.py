"""How formulas are rated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archscout.metric_search.candidates import best, kendall, rate
from archscout.metrics.formula import parse

RESULTS = np.array([1.0, 2, 3, 4, 5, 6])
FORMULA = parse("sum(l1(weights))")


def test_the_way_that_is_better_is_learnt():
    rng = np.random.default_rng(0)
    values = RESULTS + rng.normal(size=6)
    up, down = (rate(FORMULA, sign * values, RESULTS, 0.01) for sign in (1, -1))
    assert up.kendall == down.kendall == pytest.approx(stats.kendalltau(values, RESULTS).statistic)
    assert (up.larger_is_better, down.larger_is_better) == (True, False)
    assert up.metric == "formula:sum(l1(weights))"
    assert down.metric == "formula:-sum(l1(weights))"
    assert up.fitness == pytest.approx(up.kendall - 0.03)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_not_finite_ranks_last_whichever_way_is_better(bad, sign):
    values = sign * RESULTS
    values[0] = bad  # the worst
    assert rate(FORMULA, values, RESULTS, 0).kendall == pytest.approx(1)
    values = sign * RESULTS
    values[5] = bad  # the best
    rated = rate(FORMULA, values, RESULTS, 0)
    assert rated.kendall == pytest.approx(1 / 3)
    assert rated.finite == 5


@pytest.mark.parametrize("value", [2.0, np.nan, np.inf])
def test_a_constant_formula_says_nothing(value):
    rated = rate(FORMULA, np.full(6, value), RESULTS, 0.01)
    assert rated.kendall == 0 and rated.fitness == -0.03
    assert kendall(np.full(6, value), RESULTS) == 0


def test_the_best_are_different_and_small():
    longer = parse("sum(l1(abs(weights)))")
    other = parse("sum(l2(weights))")
    noisy = np.array([1.0, 3, 2, 4, 5, 6])
    rated = [
        rate(other, noisy, RESULTS, 0.001),
        rate(longer, RESULTS, RESULTS, 0.001),
        rate(FORMULA, RESULTS, RESULTS, 0.001),
    ]
    assert [entry.formula for entry in best(rated, 5)] == [str(FORMULA), str(other)]
    assert [entry.formula for entry in best(rated, 1)] == [str(FORMULA)]
