"""What the trainings tell, on made-up ones."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.comparison import compare, to_document
from proofs import proof, trainee

losses = st.lists(st.one_of(st.none(), st.floats(1.0, 9.0)), min_size=1, max_size=4)


def test_it_paid_where_the_best_of_the_top_is_better() -> None:
    found = compare(proof(top=[5.0, 5.2], random=[5.1, 5.6]))
    assert found.paid is True
    assert found.best_top is not None and found.best_top.rank == 1
    assert found.best_random is not None and found.best_random.rank == 11
    assert found.mean_top == pytest.approx(5.1) and found.mean_random == pytest.approx(5.35)


def test_it_did_not_pay_where_the_best_random_one_is_better() -> None:
    found = compare(proof(top=[5.0, 5.2], random=[4.9, 9.0]))
    assert found.paid is False
    assert found.mean_top is not None and found.mean_random is not None
    assert found.mean_top < found.mean_random


def test_equal_ones_decide_nothing() -> None:
    assert compare(proof(top=[5.0], random=[5.0])).paid is None


def test_the_validation_part_chooses_and_the_test_part_compares() -> None:
    lucky = trainee(1, 4.0, losses={"valid": 5.5, "test": 4.0})
    chosen = trainee(2, 5.0, losses={"valid": 5.2, "test": 5.0})
    found = compare(proof(random=[4.9, 5.3]).model_copy(update={"top": [lucky, chosen]}))
    assert found.best_top == chosen and found.paid is False


def test_a_failure_counts_as_the_worst() -> None:
    found = compare(proof(top=[5.0, None], random=[5.1, 6.0]))
    assert found.failed == 1 and found.paid is True
    assert found.mean_top == pytest.approx((5.0 + 6.0) / 2)
    (covariance, _) = found.correlations
    same = compare(proof(top=[5.0, 99.0], random=[5.1, 6.0])).correlations[0]
    assert covariance == same


def test_a_group_that_failed_loses() -> None:
    assert compare(proof(top=[None, None], random=[None, 6.0])).paid is False
    assert compare(proof(top=[None, 8.0], random=[None, None])).paid is True


def test_where_all_failed_nothing_is_told() -> None:
    found = compare(proof(top=[None, None], random=[None, None]))
    assert found.paid is found.mean_top is found.p_value is found.seconds_all is None
    assert [c.kendall for c in found.correlations] == [None, None]


def test_the_correlation_is_one_where_scores_rank_as_training_does() -> None:
    found = compare(proof(top=[5.0, 5.1], random=[5.2, 5.3])).correlations[0]
    assert (found.name, found.kendall, found.n) == ("hidden_covariance", 1.0, 4)
    assert found.p_value == pytest.approx(2 / 24)  # of the 24 orders
    backwards = compare(proof(top=[5.3, 5.2], random=[5.1, 5.0])).correlations[0]
    assert backwards.kendall == -1.0
    smaller = proof(top=[5.3, 5.2], random=[5.1, 5.0], directions={"hidden_covariance": -1})
    assert compare(smaller).correlations[0].kendall == 1.0


def test_the_size_is_correlated_too_once() -> None:
    names = [c.name for c in compare(proof()).correlations]
    assert names == ["hidden_covariance", "parameters"]
    group = [trainee(1, 5.0, scores={"parameters": 7.0}), trainee(2, 5.1, scores={"parameters": 8})]
    sized = proof().model_copy(
        update={"directions": {"parameters": -1}, "top": group[:1], "random": group[1:]}
    )
    (only,) = compare(sized).correlations
    assert (only.name, only.kendall) == ("parameters", 1.0)


def test_the_chance_is_the_share_of_exchanges_that_differ_as_much() -> None:
    top, random = [5.0, 5.3, 5.15], [5.2, 5.6, 5.9]
    everything = np.array(top + random)
    differences = []
    for members in combinations(range(6), 3):
        inside = np.isin(np.arange(6), members)
        differences.append(abs(everything[inside].mean() - everything[~inside].mean()))
    seen = abs(np.mean(top) - np.mean(random))
    expected = np.mean([difference >= seen - 1e-12 for difference in differences])
    assert compare(proof(top=top, random=random)).p_value == pytest.approx(expected)


def test_of_many_exchanges_some_are_drawn() -> None:
    top, random = [5.0 + 0.01 * i for i in range(9)], [5.5 + 0.01 * i for i in range(9)]
    apart = compare(proof(top=top, random=random)).p_value
    assert apart is not None and 0 < apart < 0.001
    mixed = compare(proof(top=top, random=[loss + 0.001 for loss in top])).p_value
    assert mixed is not None and mixed > 0.9


def test_one_against_some_has_no_chance_to_be_told() -> None:
    assert compare(proof(top=[5.0], random=[6.0, 7.0])).p_value is None


def test_the_time_is_compared_with_training_everything() -> None:
    slow = [trainee(1, 5.0, seconds=30.0), trainee(2, None, seconds=2.0)]
    found = compare(proof(random=[5.1, 5.2]).model_copy(update={"top": slow}))
    assert found.seconds_each == pytest.approx(50 / 3)  # of those that did not fail
    assert found.seconds_all == pytest.approx(50 * 50 / 3)
    assert found.seconds_top == pytest.approx(4 + 32)
    assert found.seconds_spent == pytest.approx(4 + 32 + 20)


@given(losses, losses)
@settings(deadline=None, max_examples=50)
def test_whatever_failed_the_document_is_plain_json(
    top: list[float | None], random: list[float | None]
) -> None:
    document = json.loads(json.dumps(to_document(proof(top=top, random=random)), allow_nan=False))
    finished = [loss for loss in top + random if loss is not None]
    assert (document["winner"] is None) == (not finished)
    assert document["statistics"]["failed"] == len(top + random) - len(finished)
