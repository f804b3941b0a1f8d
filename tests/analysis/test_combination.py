"""Ranks of several metrics combined, on scores written by hand."""

import math
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from archscout import InputError
from archscout.analysis.combination import (
    COMBINATIONS,
    Combination,
    Method,
    parse_combinations,
)
from archscout.metrics import request

SCORES = pd.DataFrame(
    {"a": [1.0, 2.0, 3.0, 4.0], "b": [40.0, 10.0, 20.0, 30.0], "c": [7.0, 7.0, 7.0, 7.0]},
    index=list("wxyz"),
)
UP = {"a": True, "b": True, "c": True}


def test_mean_ranks_add_up() -> None:
    combined = Combination(("a", "b")).of(SCORES, UP)
    assert combined.to_dict() == {"w": 0.625, "x": 0.375, "y": 0.625, "z": 0.875}


def test_a_metric_of_which_smaller_is_better_ranks_the_other_way() -> None:
    combined = Combination(("a", "b")).of(SCORES, UP | {"a": False})
    assert combined.to_dict() == {"w": 1.0, "x": 0.5, "y": 0.5, "z": 0.5}


def test_logarithms_are_those_of_az_nas() -> None:
    combined = Combination(("a", "b"), "log").of(SCORES, UP)
    expected = [math.log(1 / 4 * 4 / 4), math.log(2 / 4 * 1 / 4), math.log(3 / 4 * 2 / 4)]
    assert combined.iloc[:3].to_numpy() == pytest.approx(np.array(expected) / 2)


def test_only_ranks_matter() -> None:
    warped = SCORES.assign(a=np.exp(3 * SCORES["a"]), b=SCORES["b"] ** 3)
    for method in get_args(Method):
        combination = Combination(("a", "b"), method)
        assert combination.of(warped, UP).equals(combination.of(SCORES, UP))


def test_what_is_alike_for_all_has_no_vote() -> None:
    assert Combination(("a", "c")).of(SCORES, UP).equals(SCORES["a"].rank(pct=True))
    assert Combination(("c", "c2")).of(SCORES.assign(c2=1.0), UP | {"c2": True}).isna().all()


def test_a_score_that_is_not_finite_ranks_last_and_one_that_is_not_there_does_not_count() -> None:
    scores = SCORES.assign(a=[-math.inf, 2.0, 3.0, math.nan])
    combined = Combination(("a", "b")).of(scores, UP)
    assert combined["w"] == pytest.approx((1 / 3 + 1) / 2)
    assert combined["z"] == 0.75


def test_a_metric_that_fails_moves_the_median_little() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(100.0)
    good = {name: truth + rng.normal(0, 15, 100) for name in ("p", "q", "r", "s")}
    scores = pd.DataFrame({**good, "broken": rng.permutation(truth)})
    up = dict.fromkeys(scores, True)

    def kendall(*members: str, method: Method = "median") -> float:
        combined = Combination(members, method).of(scores, up)
        return float(kendalltau(combined, truth).statistic)

    lost = {
        method: kendall("p", "q", "r", "s", method=method)
        - kendall("p", "q", "r", "s", "broken", method=method)
        for method in get_args(Method)
    }
    assert 0 < lost["median"] < lost["mean"] < 0.2


def test_those_that_are_judged_by_default_are_of_known_metrics() -> None:
    for kind, combinations in COMBINATIONS.items():
        for combination in combinations:
            assert [request(name, kind).column for name in combination.members]


def test_texts_are_parsed() -> None:
    found = parse_combinations(["log(linear_memory + hidden_covariance[2])"], "other")
    assert found == (Combination(("linear_memory", "hidden_covariance[2]"), "log"),)
    assert found[0].name == "log(linear_memory+hidden_covariance[2])"


def test_a_sign_within_brackets_belongs_to_a_formula() -> None:
    formula = "formula:mean(l2(hidden_states + hidden_states))"
    (found,) = parse_combinations([f"{formula} + parameters+hidden_covariance[2]"], "other")
    assert found.members == (formula, "parameters", "hidden_covariance[2]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linear_memory", "'linear_memory': two metrics or more"),
        ("depth+depth", "each metric may stand once"),
        ("depth+widht", "unknown metric 'widht'; did you mean width"),
        ("sum(depth+width)", "no way 'sum' of combining; accepted: mean, median, log"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_combinations([text], "other")


def test_a_member_without_scores_is_named() -> None:
    with pytest.raises(InputError, match=r"a\+d: there are no scores of d"):
        Combination(("a", "d")).of(SCORES, UP | {"d": True})


def test_two_names_of_one_column_stand_once():
    for text in ("hidden_covariance+hidden_covariance[1]+depth", "depth+depth"):
        with pytest.raises(InputError, match="each metric may stand once"):
            parse_combinations([text], "other")
