"""Which metrics say the same: correlations, clusters and their table."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from archscout.analysis.redundancy import redundancy
from archscout.errors import InputError


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 60))
    frame = pd.DataFrame(
        {
            "one": one,
            "two": two,
            "one_again": np.exp(one),
            "one_reversed": -one + 0.01 * rng.normal(size=60),
            "partly": np.where(np.arange(60) < 30, np.nan, two),
            "constant": 1.0,
        }
    )
    return frame.rename(index=str)


@pytest.fixture(scope="module")
def found(scores):
    return redundancy(scores, dict.fromkeys(scores, True) | {"two": False})


def test_correlations_are_of_the_architectures_that_both_have(scores, found):
    table = found.correlations
    assert table.loc["one", "two"] == pytest.approx(
        -stats.kendalltau(scores["one"], scores["two"]).statistic
    )
    later = scores.iloc[30:]
    assert table.loc["one", "partly"] == pytest.approx(
        stats.kendalltau(later["one"], later["partly"]).statistic
    )
    assert (np.diag(table) == 1).all()
    assert np.array_equal(table, table.T)


def test_what_ranks_alike_or_in_reverse_is_one_cluster(found):
    clusters = found.clusters
    assert clusters["one"] == clusters["one_again"] == clusters["one_reversed"]
    assert clusters["two"] == clusters["partly"] != clusters["one"]
    assert found.constant == ("constant",)
    assert list(clusters.index) == list(found.correlations.index)
    assert list(dict.fromkeys(clusters)) == [1, 2]  # members stand together


def test_every_two_of_a_cluster_agree():
    rng = np.random.default_rng(1)
    chain = np.cumsum(rng.normal(size=(200, 12)), axis=1)
    scores = pd.DataFrame(chain, columns=[f"metric_{i}" for i in range(12)])
    for threshold in (0.4, 0.6, 0.8):
        found = redundancy(scores, dict.fromkeys(scores, True), threshold)
        for names in found.clusters.groupby(found.clusters).groups.values():
            assert found.correlations.loc[names, names].abs().min(axis=None) >= threshold


def test_the_table_names_the_best_and_the_cheapest(found):
    kendall = pd.Series({"one": 0.5, "one_again": 0.6, "one_reversed": -0.5, "two": 0.1})
    cost = pd.Series({"one": 3.0, "one_again": 4.0, "one_reversed": 2.0})
    table = found.table(kendall, cost)
    assert list(table.index) == [1, 2]
    assert sorted(table["members"]) == [2, 3]
    first, other = (table[table["members"] == count].iloc[0] for count in (3, 2))
    assert (first["best"], first["best_kendall"]) == ("one_again", 0.6)
    assert (first["cheapest"], first["cheapest_milliseconds"]) == ("one_reversed", 2.0)
    assert set(first["metrics"].split(", ")) == {"one", "one_again", "one_reversed"}
    assert first["least"] == found.correlations.loc["one", "one_reversed"] * -1
    assert pd.isna(other["cheapest"])


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_metrics(scores, count):
    found = redundancy(scores[["one"][:count]], {"one": True})
    assert len(found.clusters) == count
    assert found.table(pd.Series(dtype=float), pd.Series(dtype=float)).empty


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_a_bad_threshold(scores, threshold):
    with pytest.raises(InputError, match=f"threshold is {threshold}"):
        redundancy(scores, dict.fromkeys(scores, True), threshold)
