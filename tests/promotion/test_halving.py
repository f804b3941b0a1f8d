"""Who is trained how long, for a budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.promotion import Rung, cost, halve, parse_budget, schedule
from archscout.promotion.entrants import enter, predict, voices


@given(st.floats(1, 40), st.integers(1, 300))
def test_rungs_are_paid_for_and_a_third_goes_on(budget: float, pool: int) -> None:
    rungs = schedule(budget, pool)
    assert cost(rungs) <= budget + 1e-9
    assert rungs[-1].until == 1.0
    assert rungs[-1].size == 1 or budget >= 4
    assert rungs[-1].size <= max(2, round(rungs[0].size / 9))
    assert rungs[0].size <= pool
    for before, after in pairwise(rungs):
        assert before.until < after.until and before.size >= after.size >= 1


def test_more_budget_trains_no_fewer() -> None:
    sizes = [schedule(budget, 1000)[0].size for budget in (1, 2, 3, 5, 10, 20)]
    assert sizes[0] == 1 and sizes == sorted(set(sizes))
    assert [rung.size for rung in schedule(3.99, 1000)] == [17, 6, 1]
    assert [rung.size for rung in schedule(4, 1000)] == [14, 5, 2]
    assert [rung.size for rung in schedule(20, 1000)] == [76, 25, 8]


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
    assert halve(order, schedule(3, len(order)), train) == "m"
    assert asked == [order[:13], list("mlkj"), ["m"]]


def test_with_several_objectives_better_fronts_go_on_first() -> None:
    def train(names: Sequence[str], until: float) -> dict[str, float]:
        return {name: ord(name) for name in names}

    def front_of(losses: Mapping[str, float]) -> dict[str, int]:
        return {name: 1 if name in "afl" else 2 for name in losses}

    asked: list[list[str]] = []

    def noted(names: Sequence[str], until: float) -> dict[str, float]:
        asked.append(list(names))
        return train(names, until)

    order = list("abcdefghijkl")
    assert halve(order, schedule(3, 12), noted, front_of) == "a"
    assert asked == [order, ["a", "f", "l", "b"], ["a"]]


ORDER = [f"c{i}" for i in range(30)]


def features(good: str) -> pd.DataFrame:
    """Two scores of candidates, of which the named one tells, the other is the reverse."""
    rising = pd.Series(np.arange(30.0), ORDER)
    return pd.DataFrame({"score": rising if good == "score" else -rising, "other": rising})


def test_what_short_trainings_tell_decides_who_else_enters() -> None:
    order = [ORDER[i // 2] if i % 2 == 0 else ORDER[29 - i // 2] for i in range(30)]
    by_order = pd.Series(-np.arange(30.0), order)
    known = pd.DataFrame({"score": by_order, "other": features("other")["other"]})
    asked: list[list[str]] = []

    def train(names: Sequence[str], until: float) -> dict[str, float]:
        asked.append(list(names))
        return {name: -float(name[1:]) for name in names}  # c29 is the best

    entered = enter(order, known, Rung(1 / 9, 16), train)
    assert asked == [order[:8], entered[8:]]
    assert entered[:8] == order[:8] and len(set(entered)) == 16
    # In turn the best by what was learned, of the better half by score, and the next in the order.
    assert entered[8::2] == ["c25", "c24", "c23", "c7"]
    assert entered[9::2] == ["c4", "c5", "c6", "c22"]


def test_children_enter_by_generations_in_turn_with_what_was_learned() -> None:
    order = [ORDER[i // 2] if i % 2 == 0 else ORDER[29 - i // 2] for i in range(26)]
    known = features("other").loc[order]
    asked: list[list[str]] = []
    told: list[dict[str, float]] = []

    def train(names: Sequence[str], until: float) -> dict[str, float]:
        asked.append(list(names))
        return {name: -float(name[1:]) for name in names}

    def breed(losses: Mapping[str, float]) -> list[str]:
        told.append(dict(losses))
        best = min(losses, key=losses.__getitem__)
        return [f"{best}{i}" for i in range(8)]  # whose losses are ten times as good

    entered = enter(order, known, Rung(1 / 9, 17), train, breed)
    assert entered == [name for names in asked for name in names]
    assert asked[0] == order[:9]
    assert asked[1:] == [
        ["c290", "c291", "c12", "c292"],
        ["c2920", "c2921", "c11", "c2922"],
    ]
    assert [len(losses) for losses in told] == [9, 13]


def test_the_worst_by_all_scores_never_enter_for_what_the_best_by_them_came_to() -> None:
    """The best by score are trained, of which the very best do worse than the others."""
    score = pd.DataFrame({"score": -np.arange(100.0)}, [f"c{i}" for i in range(100)])
    entered = enter(
        list(score.index),
        score,
        Rung(1 / 9, 18),
        lambda names, _: {name: -float(name[1:]) for name in names},
    )
    assert max(int(name[1:]) for name in entered) < 50


def test_nothing_is_learned_of_so_few_that_it_would_be_noise() -> None:
    def train(names: Sequence[str], until: float) -> dict[str, float]:
        raise AssertionError("nothing is to be trained yet")

    assert enter(ORDER, features("score"), Rung(1 / 9, 6), train) == ORDER[:6]
    assert enter(ORDER[:9], features("score"), Rung(1 / 9, 9), train) == ORDER[:9]


def test_without_anything_learned_the_score_predicts_and_losses_turn_it() -> None:
    scores = features("score")
    same = predict(scores, {"c3": 1.0, "c4": 1.0, "c5": 1.0})
    assert sorted(ORDER, key=lambda name: same[name]) == ORDER
    turned = predict(features("other"), {f"c{i}": -float(i) for i in range(0, 30, 3)})
    assert turned["c29"] > turned["c0"]
    failed = predict(scores, {"c29": math.inf, "c28": math.inf, "c1": 2.0, "c2": 1.0})
    assert failed["c29"] - failed["c0"] < same["c29"] - same["c0"]


def test_voices_enter_in_turn() -> None:
    ranked, drawn = list("abcdef"), list("fedcba")
    other = pd.Series({"a": 0, "b": 0, "c": 0, "d": 1, "e": 3, "f": 3})
    assert voices(ranked, drawn, other) == ["a", "b", "e", "c", "d", "f"]
    assert voices(ranked, drawn) == ["a", "b", "c", "d", "e", "f"]
    many = [f"m{i}" for i in range(9)]
    chance = ["m8", "m2", "m1", "m0", *many[3:8]]
    assert voices(many, chance)[:4] == ["m0", "m1", "m2", "m3"]


def test_what_was_bred_for_a_score_has_a_turn_and_what_was_not_another() -> None:
    ranked, other = list("abcdef"), pd.Series(range(6), list("abcdef"))
    assert voices(ranked, ranked, other, "d", "abf") == ["d", "c", "a", "f", "e", "b"]
    assert voices(ranked, ranked, other, bred=ranked) == ["a", "f", "b", "e", "c", "d"]


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
