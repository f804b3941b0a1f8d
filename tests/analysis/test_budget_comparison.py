"""Strategies simulated on learning curves: against probabilities, and where the answer is known."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from archscout import benchmarks
from archscout.analysis.budget_comparison import compare_budgets
from archscout.errors import InputError

N = 30
NAMES = [f"architecture {i}" for i in range(N)]


def pool(
    noise: float = 0.0, failed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, "pd.Series[float]"]:
    """Scores that tell all and nothing, curves with noise at their beginning, and results."""
    rng = np.random.default_rng(0)
    results = pd.Series(rng.permutation(N) / 10, index=NAMES)
    points = np.arange(1, 10) / 9
    blurred = rng.normal(size=(N, 9)) * noise * (1 - points)
    curves = pd.DataFrame(results.to_numpy()[:, None] + blurred, index=NAMES, columns=points)
    scores = pd.DataFrame({"perfect": -results, "empty": rng.normal(size=N)})
    if failed:
        worst = results.nlargest(failed).index
        results[worst], curves.loc[worst, points[2:]] = np.nan, np.nan
    return scores, curves, results


def found(scores: pd.DataFrame, *others: object, **options: object) -> pd.DataFrame:
    settings = {"larger_is_better": {"perfect": True, "empty": True}, "orders": 60} | options
    table = compare_budgets(scores, *others, result_larger_is_better=False, **settings)  # type: ignore[arg-type]
    return table.set_index(["strategy", "budget"])


def test_whole_trainings_of_random_ones_find_what_probability_says() -> None:
    scores, curves, results = pool()
    table = found(scores, curves, results, budgets=(1, 4), orders=1000)
    for budget in (1, 4):
        # The best of so many has i better ones with this probability.
        ways = [comb(N - 1 - i, budget - 1) / comb(N, budget) for i in range(N)]
        expected = 100 * sum(i / N * ways[i] for i in range(N))
        row = table.loc[("random", budget)]
        assert row["percentile"] == pytest.approx(expected, abs=4 * row["error"])
        assert row["error"] < 1


def test_a_score_that_tells_all_needs_one_training() -> None:
    table = found(*pool(), budgets=(1, 3))
    for name in ("search", "best by score"):
        assert table.loc[(name, 1), "percentile"] == 0
        assert table.loc[(name, 1), "mean"] == 0
        assert table.loc[(name, 1), "error"] == 0


def test_halving_pays_where_curves_tell_early_and_scores_say_nothing() -> None:
    scores, curves, results = pool(noise=0.3)
    table = found(scores[["empty"]], curves, results, budgets=(4,))["percentile"]
    assert table["random, halved", 4] < table["random", 4] / 2
    assert table["search", 4] < table["best by score", 4]


def test_what_a_score_gets_wrong_short_trainings_put_right() -> None:
    scores, curves, results = pool()
    misled = pd.DataFrame({"empty": -scores["perfect"], "perfect": scores["perfect"]})
    table = found(misled, curves, results, budgets=(5,), voice="perfect")["percentile"]
    assert table["search", 5] == 0 and table["best by score", 5] > 80


def test_only_the_named_metric_is_the_other_voice() -> None:
    """A budget of 1.5 begins with four, of whom the third is the other voice's best."""
    scores, curves, results = pool()
    misled = pd.DataFrame({"empty": -scores["perfect"], "perfect": scores["perfect"]})
    with_voice = found(misled, curves, results, budgets=(1.5,), voice="perfect")
    assert with_voice.loc[("search", 1.5), "percentile"] == 0
    alone = found(misled, curves, results, budgets=(1.5,))
    assert alone.loc[("search", 1.5), "percentile"] > 60  # chance among what is scored best


def test_architectures_with_a_name_enter_a_search_first() -> None:
    scores, curves, results = pool()
    misled = pd.DataFrame({"perfect": -scores["perfect"]})
    known = {"named": [results.idxmin()], "budgets": (2,)}
    table, without = (found(misled, curves, results, **each) for each in (known, {"budgets": (2,)}))
    assert table.loc[("search", 2), "percentile"] == 0 < without.loc[("search", 2), "percentile"]
    others = ["random", "random, halved", "best by score"]
    assert table.loc[others].equals(without.loc[others])


def test_failures_leave_and_where_all_fail_nothing_is_found() -> None:
    scores, curves, results = pool(failed=10)
    worst_first = pd.DataFrame({"perfect": -scores["perfect"]})
    table = found(worst_first, curves, results, budgets=(2, 6))
    assert table.loc[("best by score", 2), "percentile"] == 100
    assert table.loc[("best by score", 2), "mean"] == results.max()
    assert table.loc[("search", 6), "percentile"] < 100


def test_longer_is_better_where_larger_results_are() -> None:
    scores, curves, results = pool()
    settings = {"larger_is_better": {"perfect": True, "empty": True}, "orders": 5}
    table = compare_budgets(
        scores, curves, -results, result_larger_is_better=True, budgets=(1,), **settings
    )
    assert (table.set_index("strategy").loc["search", ["mean", "percentile"]] == 0).all()


def test_without_curves_or_results_it_says_so() -> None:
    scores, curves, results = pool()
    for args in ((scores, curves[[]], results), (scores, curves, results * np.nan)):
        with pytest.raises(InputError, match="learning curves and results; here are none"):
            found(*args)
    with pytest.raises(InputError, match="orders is 0"):
        found(scores, curves, results, orders=0)
    with pytest.raises(InputError, match="the least is 1"):
        found(scores, curves, results, budgets=(0.5,))


def test_learning_curves_of_the_shipped_benchmarks() -> None:
    cells = benchmarks.load("archscout-mini-rnn")
    curves = cells.learning_curves
    assert curves.shape == (140, 8) and list(curves.columns) == [i / 8 for i in range(1, 9)]
    recorded = cells.curves[cells.curves["architecture"] == "0001"]
    assert curves.loc["0001"].tolist() == recorded["val_loss"].tolist()
    failed = cells.results["test_loss"].isna() & (cells.results["runs"] == 1)
    assert curves[failed].iloc[:, -1].isna().all()
    encoders = benchmarks.load("archscout-mini-flexibert").learning_curves
    assert encoders.shape == (60, 6) and encoders.notna().all().all()


def test_a_failed_training_with_a_whole_curve_is_never_found():
    names = [f"a{i}" for i in range(6)]
    curves = pd.DataFrame(
        [[5.0, 4.0, 3.0 + 0.1 * i] for i in range(6)], index=names, columns=[1 / 3, 2 / 3, 1.0]
    )
    results = pd.Series([np.nan, *(3.0 + 0.1 * i for i in range(1, 6))], index=names)
    scores = pd.DataFrame({"score": np.arange(6.0)}, index=names)
    table = compare_budgets(
        scores, curves, results, larger_is_better={"score": False}, result_larger_is_better=False,
        budgets=(1, 6), orders=10,
    )  # fmt: skip
    assert np.isfinite(table["mean"]).all()
