"""The ranking, from made-up proposals."""

import json
import math
import random
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from archscout.runs.search_settings import parse_objectives
from archscout.runs.table import front, fronts_of, ranking

ONE = parse_objectives("jacobian_cosine:max")
TWO = parse_objectives("jacobian_cosine:max,latency:min")


def proposal(
    number: int,
    mark: str,
    values: list[float] | None,
    objectives: Any = ONE,
    excess: float | None = None,
    problem: str | None = None,
) -> FrozenTrial:
    names = [o.name for o in objectives]
    found = dict(zip(names, values or [math.nan] * len(names), strict=True))
    result = {
        "architecture": {"name": mark},
        "fingerprint": mark,
        "scores": {k: None if math.isnan(v) else v for k, v in found.items() if k != "latency"},
        "costs": {"parameters": 10, **{k: v for k, v in found.items() if k == "latency"}},
        "seconds": 0.5,
        "problem": problem,
    }
    study = optuna.create_study(directions=[o.direction for o in objectives])
    trial = study.ask()
    trial.set_user_attr("result", result)
    if excess is not None:
        trial.set_constraint("parameters", excess)
    state = TrialState.FAIL if values is None else TrialState.COMPLETE
    frozen = study.tell(trial, values, state=state)
    frozen.number = number
    return frozen


def test_the_best_comes_first() -> None:
    table = ranking(
        [proposal(i, m, [v]) for i, (m, v) in enumerate(zip("abc", [1, 3, 2], strict=True))], ONE
    )
    assert list(table["fingerprint"]) == ["b", "c", "a"]
    assert list(table["rank"]) == [1, 2, 3]
    assert list(table["front"]) == [1, 2, 3]
    smallest = parse_objectives("jacobian_cosine:min")
    trials = [
        proposal(i, m, [v], smallest) for i, (m, v) in enumerate(zip("abc", [1, 3, 2], strict=True))
    ]
    assert list(ranking(trials, smallest)["fingerprint"]) == ["a", "c", "b"]


def test_equal_values_keep_the_order_of_proposals() -> None:
    table = ranking([proposal(i, m, [1.0]) for i, m in enumerate("cab")], ONE)
    assert list(table["fingerprint"]) == ["c", "a", "b"]
    assert list(table["front"]) == [1, 1, 1]
    assert list(front(table, ONE)["fingerprint"]) == ["c"]


def test_an_architecture_has_one_row_however_often_it_was_proposed() -> None:
    table = ranking([proposal(i, m, [1.0]) for i, m in enumerate("abaa")], ONE)
    assert list(table["fingerprint"]) == ["a", "b"]
    assert list(table["proposals"]) == [3, 1]
    assert list(table["trial"]) == [0, 1]


def test_the_columns_are_those_promised() -> None:
    table = ranking([proposal(0, "a", [1.0, 2.0], TWO, excess=-0.5)], TWO)
    assert list(table) == [
        "rank",
        "front",
        "fingerprint",
        "parameters",
        "latency",
        "jacobian_cosine",
        "seconds",
        "problem",
        "within_limits",
        "trial",
        "proposals",
        "architecture",
    ]
    assert json.loads(table["architecture"][0]) == {"name": "a"}
    assert table["within_limits"].dtype == bool


def test_what_has_no_finite_score_comes_after_what_has_and_before_what_is_outside() -> None:
    trials = [
        proposal(0, "outside", [9.0], excess=0.1),
        proposal(1, "broken", None, problem="it overflows"),
        proposal(2, "worst", [-9.0], excess=0.0),
        proposal(3, "best", [1.0], excess=-0.1),
    ]
    table = ranking(trials, ONE)
    assert list(table["fingerprint"]) == ["best", "worst", "broken", "outside"]
    assert list(table["front"].isna()) == [False, False, True, True]
    assert list(table["within_limits"]) == [True, True, True, False]
    assert table["problem"][2] == "it overflows"
    assert list(front(table, ONE)["fingerprint"]) == ["best"]


def test_a_run_without_proposals_has_an_empty_table() -> None:
    assert len(ranking([], ONE)) == 0
    assert len(front(ranking([], ONE), ONE)) == 0


def test_a_run_of_failures_has_a_table_and_no_front() -> None:
    table = ranking([proposal(0, "a", None), proposal(1, "b", [0.0], excess=1.0)], ONE)
    assert len(table) == 2
    assert len(front(table, ONE)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_those_of_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    # Few different values, so that ties are many.
    points = {str(i): (rng.randrange(6), rng.randrange(6)) for i in range(25)}
    trials = [proposal(i, m, [float(v) for v in p], TWO) for i, (m, p) in enumerate(points.items())]
    table = ranking(trials, TWO)

    def beats(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return a != b and a[0] >= b[0] and a[1] <= b[1]

    left, number, expected = dict(points), 0, {}
    while left:
        number += 1
        best = [m for m, p in left.items() if not any(beats(q, p) for q in left.values())]
        for mark in best:
            expected[mark] = number
            del left[mark]
    assert dict(zip(table["fingerprint"], table["front"], strict=True)) == expected
    assert list(table["front"]) == sorted(table["front"])
    chosen = front(table, TWO)
    assert set(chosen["fingerprint"]) == {m for m, n in expected.items() if n == 1}
    assert list(chosen["jacobian_cosine"]) == sorted(chosen["jacobian_cosine"], reverse=True)


@given(
    st.integers(1, 3).flatmap(
        lambda objectives: st.lists(st.tuples(*[st.integers(0, 4)] * objectives), min_size=1)
    )
)
def test_a_front_is_beaten_by_the_one_before_and_by_no_later_one(rows: list[Any]) -> None:
    values = np.array(rows, dtype=float)
    fronts = fronts_of(values)
    for row, number in zip(values, fronts, strict=True):
        beat = (values >= row).all(1) & (values > row).any(1)
        assert number == 1 + fronts[beat].max(initial=0)
