"""Who is trained how long, for a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.promotion import cost, halve, parse_budget, schedule


@given(st.floats(1, 40), st.integers(1, 300))
def test_rungs_are_paid_for_and_one_is_trained_whole(budget: float, pool: int) -> None:
    rungs = schedule(budget, pool)
    assert cost(rungs) <= budget + 1e-9
    assert (rungs[-1].until, rungs[-1].size) == (1.0, 1)
    assert rungs[0].size <= pool
    for before, after in pairwise(rungs):
        assert before.until < after.until and before.size >= after.size >= 1


def test_more_budget_trains_no_fewer() -> None:
    sizes = [schedule(budget, 1000)[0].size for budget in (1, 2, 3, 5, 10, 20)]
    assert sizes[0] == 1 and sizes == sorted(set(sizes))


def test_the_cost_is_that_of_trainings_that_are_continued() -> None:
    spent: dict[str, float] = {}

    def train(names: Sequence[str], until: float) -> dict[str, float]:
        spent.update(dict.fromkeys(names, until))
        return {name: float(name) for name in names}

    rungs = schedule(3, 100)
    assert halve([str(i) for i in range(100)], rungs, train) == "0"
    assert math.isclose(sum(spent.values()), cost(rungs))


def test_the_lowest_loss_of_each_rung_goes_on_and_failures_leave() -> None:
    asked: list[list[str]] = []

    def train(names: Sequence[str], until: float) -> dict[str, float]:
        asked.append(list(names))
        return {name: math.inf if name in "abc" else -ord(name) for name in names}

    order = list("abcdefghijklmn")
    assert halve(order, schedule(2, len(order)), train) == "n"
    assert asked == [order, list("nmlkj"), ["n", "m"], ["n"]]


def test_nothing_wins_where_all_fail() -> None:
    assert halve(["a"], schedule(1, 1), lambda names, _: dict.fromkeys(names, math.inf)) is None


@pytest.mark.parametrize("budget", [0.5, 0, -1, math.nan])
def test_a_budget_below_one_training_is_refused(budget: float) -> None:
    with pytest.raises(InputError, match="the least is 1, one candidate trained whole"):
        schedule(budget, 10)


@pytest.mark.parametrize(
    ("given", "trainings", "seconds"),
    [
        (4, 4.0, None),
        ("2.5", 2.5, None),
        ("90s", None, 90),
        ("30m", None, 1800),
        ("2h", None, 7200),
    ],
)
def test_budgets_are_numbers_or_times(
    given: float | str, trainings: float | None, seconds: float | None
) -> None:
    found = parse_budget(given)
    assert (found.trainings, found.seconds) == (trainings, seconds)


@pytest.mark.parametrize("given", ["", "four", "4x", "-2", "0", "0m", "1e3", "nan", "3 4"])
def test_other_budgets_are_refused(given: str) -> None:
    with pytest.raises(InputError, match="accepted is a number of full trainings"):
        parse_budget(given)
    with pytest.raises(InputError, match="the least is 1"):
        parse_budget("0.9")
