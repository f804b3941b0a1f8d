"""What metrics say beyond size."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from archscout.analysis.beyond_size import NEAR, PARTS, beyond_size


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(0, 3, 60))
    loss = -np.log(size) + 0.3 * rng.normal(size=60)
    metric = loss + 0.5 * rng.normal(size=60)
    return pd.DataFrame({"size": size, "loss": loss, "metric": metric})


def judged(frame: pd.DataFrame, *names: str, **options: object) -> pd.DataFrame:
    larger = {"size": True, "metric": False, "other": False}
    return beyond_size(
        frame[list(names)],
        frame["loss"],
        frame["size"],
        larger_is_better=larger,
        result_larger_is_better=False,
        resamples=options.get("resamples", 30),
    )


def test_the_figures_are_those_of_the_definition(frame: pd.DataFrame) -> None:
    row = judged(frame, "size", "metric").loc["metric"]
    whole = stats.spearmanr(frame["metric"], frame["loss"])
    assert row["spearman"] == pytest.approx(whole.statistic)
    ordered = frame.sort_values("size")
    parts = [ordered.iloc[at] for at in np.array_split(np.arange(60), PARTS)]
    inside = [stats.spearmanr(part["metric"], part["loss"]).statistic for part in parts]
    assert row["within"] == pytest.approx(np.mean(inside))
    right, pairs = 0, 0
    for i in range(60):
        for j in range(i):
            sizes = sorted(frame["size"].iloc[[i, j]])
            if sizes[1] / sizes[0] <= NEAR:
                pairs += 1
                steps = frame.iloc[i] - frame.iloc[j]
                right += steps["metric"] * steps["loss"] > 0
    assert row["pairs"] == pairs > 30
    assert row["near"] == pytest.approx(right / pairs)
    assert row["within_low"] < row["within"] < row["within_high"]


def test_the_best_inside_sizes_stands_first(frame: pd.DataFrame) -> None:
    assert list(judged(frame, "size", "metric").index) == ["metric", "size"]


def test_networks_without_score_or_result_are_left_out(frame: pd.DataFrame) -> None:
    frame.loc[:9, "metric"] = math.nan
    frame.loc[50:, "loss"] = math.nan
    table = judged(frame, "size", "metric")
    assert table["n"].to_dict() == {"size": 50, "metric": 40}
    alone = judged(frame.loc[10:49], "metric").loc["metric"]
    pd.testing.assert_series_equal(table.loc["metric"], alone)


def test_what_is_not_finite_ranks_last_and_what_is_constant_orders_nothing(
    frame: pd.DataFrame,
) -> None:
    frame["other"] = 1.0
    table = judged(frame, "other")
    assert table.loc["other", ["spearman", "within", "near"]].tolist() == [0, 0, 0.5]
    frame.loc[frame["loss"].nlargest(5).index, "metric"] = math.inf
    worst = frame.assign(metric=frame["metric"].replace(math.inf, 1e9))
    assert judged(frame, "metric").equals(judged(worst, "metric"))


def test_results_that_are_all_alike_judge_nothing(frame: pd.DataFrame) -> None:
    row = judged(frame.assign(loss=1.0), "metric").loc["metric"]
    assert row[["spearman", "within", "near"]].isna().all()
    assert row["pairs"] == 0
