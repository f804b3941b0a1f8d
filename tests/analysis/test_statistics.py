"""Statistics of metrics against results: exact values, every resample, intervals, bad input."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from archscout.analysis.bootstrap import STATISTICS, resamples
from archscout.analysis.statistics import Comparison, compare
from archscout.errors import InputError

RANK_STATISTICS = [name for name in STATISTICS if name != "pearson"]
Values = np.ndarray


def brute_pairs(x: Values, y: Values) -> float:
    right = [
        (1 + np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])) / 2
        for i, j in itertools.combinations(range(len(x)), 2)
        if y[i] != y[j]
    ]
    return float(np.mean(right))


def comparable(values: Values) -> Values:
    """For -inf less -inf is NaN."""
    finite = values[np.isfinite(values)]
    return np.where(np.isfinite(values), values, finite.min() - 1 if len(finite) else 0)


def brute_inclusion(values: Values, k: int) -> Values:
    better = np.array([(values > value).sum() for value in values])
    tied = np.array([(values == value).sum() for value in values])
    return np.clip((k - better) / tied, 0, 1)


def brute_overlap(x: Values, y: Values, k: int) -> float:
    k = min(k, len(x))
    return float((brute_inclusion(x, k) * brute_inclusion(y, k)).sum() / k)


def brute_regret(x: Values, y: Values, k: int) -> float:
    k = min(k, len(x))
    cut = np.sort(x)[-k]
    chosen, tied = y[x > cut], np.sort(y[x == cut])[::-1]
    places = k - len(chosen)
    ways = math.comb(len(tied), places)
    expected = 0.0
    for position, value in enumerate(tied):
        # The best of those drawn stands here: the others come from behind it.
        share = math.comb(len(tied) - position - 1, places - 1) / ways
        expected += share * max(value, *chosen, -math.inf)
    return float(y.max() - expected)


def brute(x: Values, y: Values, z: Values, k: int) -> dict[str, float]:
    """Every statistic of oriented values written out."""
    ranked = comparable(x)
    finite = np.isfinite(x)
    xy, xz, yz = (
        scipy.stats.kendalltau(*pair).statistic for pair in ((ranked, y), (ranked, z), (y, z))
    )
    return {
        "kendall": xy,
        "pairs": brute_pairs(ranked, y),
        "spearman": scipy.stats.spearmanr(ranked, y).statistic,
        "pearson": scipy.stats.pearsonr(x[finite], y[finite]).statistic,
        "overlap": brute_overlap(x, y, k),
        "regret": brute_regret(x, y, k),
        "partial": (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)),
    }


def case(n: int, kind: str, seed: int = 0) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Metrics `x` and `full`, a result and a control of n architectures."""
    generator = np.random.default_rng(seed)
    result = generator.normal(size=n)
    control = result + generator.normal(size=n)
    x = result + generator.normal(size=n)
    full = x + generator.normal(size=n)
    if kind != "plain":
        x, result, control = (np.round(values * 3) for values in (x, result, control))
    if kind == "groups":  # larger than a block, at the top, the bottom and in between
        x = np.clip(x, -1, 2)
        result = np.where(generator.random(n) < 0.6, 0, result)
    if kind == "holes":
        x[generator.random(n) < 0.2] = np.nan
        x[generator.random(n) < 0.1] = np.inf
        x[generator.random(n) < 0.1] = -np.inf
    index = [f"a{i}" for i in range(n)]
    frame = pd.DataFrame({"x": x, "full": full}, index=index)
    return frame, pd.Series(result, index=index), pd.Series(control, index=index)


def point(comparison: Comparison, metric: str) -> dict[str, float]:
    return {name: float(comparison.table.loc[metric, name]) for name in STATISTICS}


def oriented(values: pd.Series) -> Values:
    return values.where(~np.isinf(values), -np.inf).to_numpy()


SMALL = [(n, kind) for n in (8, 60) for kind in ("plain", "ties", "holes")]
LARGE = [(400, kind) for kind in ("plain", "ties", "groups", "holes")]


@pytest.mark.parametrize(("n", "kind"), SMALL + LARGE)
@pytest.mark.parametrize("k", [1, 10])
def test_point_values_are_those_of_plain_definitions(n: int, kind: str, k: int) -> None:
    scores, result, control = case(n, kind)
    found = compare(scores, result, control=control, k=k, resamples=1)
    for metric in scores:
        has = scores[metric].notna()
        x, y, z = oriented(scores[metric][has]), result[has].to_numpy(), control[has].to_numpy()
        assert point(found, metric) == pytest.approx(brute(x, y, z, k), abs=1e-10)
        assert found.table.loc[metric, "n"] == has.sum()
        assert found.table.loc[metric, "problem"] is None


@pytest.mark.parametrize(("n", "kind"), [(60, "ties"), (60, "holes"), *LARGE])
@pytest.mark.parametrize("k", [3, 25])
def test_each_resample_is_that_of_repeated_architectures(n: int, kind: str, k: int) -> None:
    scores, result, control = case(n, kind, seed=1)
    found = compare(scores, result, control=control, k=k, resamples=4, seed=5)
    weights = next(resamples(n, 4, seed=5)).astype(int)
    for row, (column, metric) in itertools.product(range(4), enumerate(scores)):
        rows = np.repeat(np.arange(n), weights[:, row])
        drawn = scores[metric].iloc[rows]
        has = drawn.notna().to_numpy()
        y, z = result.iloc[rows][has].to_numpy(), control.iloc[rows][has].to_numpy()
        expected = brute(oriented(drawn[has]), y, z, k)
        values = {name: found.draws(name)[row, column] for name in STATISTICS}
        assert values == pytest.approx(expected, abs=1e-9)


def test_more_resamples_only_add_to_them() -> None:
    scores, result, _ = case(20, "ties")
    few, many = (compare(scores, result, resamples=count) for count in (400, 1100))
    np.testing.assert_array_equal(few.draws("kendall"), many.draws("kendall")[:400])
    assert many.draws("spearman").shape == (1100, 2)


def test_intervals() -> None:
    widths = []
    for n in (50, 800):
        scores, result, control = case(n, "plain")
        found = compare(scores, result, control=control, resamples=300, seed=3)
        again = compare(scores, result, control=control, resamples=300, seed=3)
        pd.testing.assert_frame_equal(found.table, again.table)
        table = found.table
        for name in ("kendall", "pairs", "spearman", "pearson", "partial"):
            assert (table[f"{name}_low"] < table[name]).all()
            assert (table[name] < table[f"{name}_high"]).all()
        widths.append(table["kendall_high"] - table["kendall_low"])
    assert (widths[1] < widths[0] / 2).all()
    other = compare(scores, result, control=control, resamples=300, seed=4)
    assert not np.array_equal(other.draws("kendall"), found.draws("kendall"))


def test_intervals_cover() -> None:
    """Of 40 samples of normals with a known τ, about 95 % hold it."""
    true = 2 / np.pi * np.arcsin(1 / np.sqrt(2))
    held = 0
    for seed in range(40):
        scores, result, _ = case(100, "plain", seed)
        row = compare(scores, result, resamples=200, seed=seed).table.loc["x"]
        held += row["kendall_low"] <= true <= row["kendall_high"]
    assert held >= 34


def test_orientation() -> None:
    scores, result, _ = case(60, "ties")
    scores.loc["a0", "x"] = np.inf
    usual = compare(scores, result, resamples=1).table
    flipped = scores.assign(x=-scores["x"])  # the exploded one ranks last either way
    turned = compare(
        flipped,
        -result,
        larger_is_better={"x": False},
        result_larger_is_better=False,
        resamples=1,
    ).table
    pd.testing.assert_frame_equal(usual, turned)
    wrong = compare(scores, result, larger_is_better={"full": False}, resamples=1).table
    assert wrong.loc["full", "kendall"] == -usual.loc["full", "kendall"]
    assert wrong.loc["full", "pairs"] == pytest.approx(1 - usual.loc["full", "pairs"])


def test_failed_networks_are_left_out_and_counted() -> None:
    scores, result, control = case(60, "ties")
    failed = result.copy()
    failed.iloc[[3, 50]] = np.nan
    control.iloc[3] = np.nan
    found = compare(scores, failed, control=control, resamples=20)
    kept = failed.notna()
    same = compare(scores[kept], result[kept], control=control[kept], resamples=20)
    assert (found.failed, same.failed) == (2, 0)
    pd.testing.assert_frame_equal(found.table, same.table)


def test_results_are_aligned_by_architecture() -> None:
    scores, result, control = case(30, "ties")
    expected = compare(scores, result, control=control, resamples=20).table
    found = compare(scores, result[::-1], control=control[::-1], resamples=20).table
    pd.testing.assert_frame_equal(found, expected)


def test_no_partial_correlation_without_or_with_its_own_control() -> None:
    scores, result, control = case(40, "ties")
    scores["parameters"] = control * 2
    found = compare(scores, result, control=control, resamples=20)
    assert math.isnan(found.table.loc["parameters", "partial"])
    assert np.isnan(found.draws("partial")[:, 2]).all()
    assert not math.isnan(found.table.loc["x", "partial"])
    assert compare(scores, result, resamples=20).table["partial"].isna().all()


def test_a_better_metric_is_told_from_a_worse_one() -> None:
    generator = np.random.default_rng(0)
    result = pd.Series(generator.normal(size=200))
    scores = pd.DataFrame(
        {
            "good": result + 0.3 * generator.normal(size=200),
            "bad": result + 3 * generator.normal(size=200),
        }
    )
    scores["same"] = 3 * scores["good"]
    found = compare(scores, result, resamples=300)
    for statistic in ("kendall", "pairs", "spearman", "pearson"):
        test = found.test("good", "bad", statistic)
        assert test.low <= test.difference <= test.high
        assert test.low > 0
        assert test.p_value == pytest.approx(2 / 301)
        reverse = found.test("bad", "good", statistic)
        assert (reverse.difference, reverse.p_value) == (-test.difference, test.p_value)
        equal = found.test("good", "same", statistic)
        assert (equal.difference, equal.low, equal.high, equal.p_value) == (0, 0, 0, 1)
        assert equal.n == 200
    assert found.test("good", "bad", "regret").difference <= 0


def test_metrics_are_tested_on_the_architectures_both_have() -> None:
    scores, result, control = case(120, "holes")
    scores.loc["a1", "full"] = np.nan
    found = compare(scores, result, control=control, resamples=50).test("x", "full")
    both = scores.notna().all(axis=1)
    x, full, y = oriented(scores["x"][both]), scores["full"][both], result[both]
    expected = (
        scipy.stats.kendalltau(comparable(x), y).statistic
        - scipy.stats.kendalltau(full, y).statistic
    )
    assert found.n == both.sum()
    assert found.difference == pytest.approx(expected, abs=1e-12)
    assert found.low < found.difference < found.high


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([1.0] * 6, "constant: every architecture has the same score"),
        ([np.inf, -np.inf] * 3, "constant: no architecture has a finite score"),
        ([np.nan] * 6, "fewer than 3 architectures have a score"),
        ([1.0, 2.0] + [np.nan] * 4, "fewer than 3 architectures have a score"),
        ([1.0, 2.0, 3.0] + [np.nan] * 3, "constant: every architecture has the same result"),
    ],
)
def test_problems(values: list[float], problem: str) -> None:
    scores = pd.DataFrame({"broken": values, "fine": range(6)})
    found = compare(scores, pd.Series([0.0, 0.0, 0.0, 1.0, 2.0, 3.0]), resamples=200)
    assert found.table.loc["broken", "problem"] == problem
    assert found.table.loc["broken", "n"] == np.count_nonzero(~np.isnan(values))
    assert found.table.loc["broken"].drop(["n", "problem"]).isna().all()
    assert np.isnan(found.draws("overlap")[:, 0]).all()
    assert found.table.loc["fine", "problem"] is None
    assert found.table.loc["fine", "kendall"] > 0.8
    test = found.test("fine", "broken")
    assert math.isnan(test.difference) and math.isnan(test.p_value)


@pytest.mark.filterwarnings("error")
def test_three_architectures_and_k_beyond_them() -> None:
    found = compare(pd.DataFrame({"x": [1, 2, 3]}), pd.Series([1.0, 3.0, 2.0]), k=50)
    row = found.table.loc["x"]
    assert (row["overlap"], row["regret"]) == (1, 0)
    assert row["kendall"] == pytest.approx(1 / 3)
    drawn = np.count_nonzero(np.concatenate([*resamples(3, 1000, 0)], axis=1), axis=0)
    np.testing.assert_array_equal(np.isnan(found.draws("regret")[:, 0]), drawn < 2)


@pytest.mark.filterwarnings("error")
def test_scores_of_any_magnitude() -> None:
    scores, result, _ = case(50, "plain")
    huge, tiny = scores["x"] * 1e300, scores["x"] * 1e-300
    outlier = scores["x"].copy()
    outlier["a7"] = 1e200
    frame = pd.DataFrame({"x": scores["x"], "huge": huge, "tiny": tiny, "outlier": outlier})
    pearson = compare(frame, result, resamples=50).table["pearson"]
    assert pearson["huge"] == pytest.approx(pearson["x"])
    assert pearson["tiny"] == pytest.approx(pearson["x"])
    assert pearson["outlier"] == pytest.approx(
        scipy.stats.pearsonr(outlier, result).statistic, abs=1e-9
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k is 0; a whole number of at least 1"),
        ({"k": 2.5}, "k is 2.5"),
        ({"resamples": 0}, "resamples is 0"),
        ({"results": pd.Series([1.0, 2.0, np.nan, np.nan])}, "2 architectures .* at least 3"),
        ({"results": pd.Series([1.0, 2.0, 3.0, np.inf])}, "infinite"),
        ({"results": pd.Series([1.0, 2.0, 3.0])}, "different architectures"),
        ({"results": pd.Series([1.0, 2.0, 3.0, 4.0], index=list("abcd"))}, "different"),
        ({"control": pd.Series([1.0, 2.0, 3.0, np.nan])}, "no finite value for 3"),
        ({"larger_is_better": {"y": True}}, "'y'.* no column of scores; these are x"),
        ({"scores": pd.DataFrame({"x": ["a"] * 4})}, "no number"),
        ({"scores": pd.DataFrame([[1, 2]] * 4, columns=["x", "x"])}, "twice"),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    usual = {"scores": pd.DataFrame({"x": range(4)}), "results": pd.Series([1.0, 2.0, 4.0, 3.0])}
    arguments: dict[str, Any] = usual | changes
    with pytest.raises(InputError, match=message):
        compare(arguments.pop("scores"), arguments.pop("results"), **arguments)


def test_unknown_metrics_and_statistics() -> None:
    found = compare(pd.DataFrame({"x": range(4)}), pd.Series(range(4)), resamples=1)
    with pytest.raises(InputError, match="no metric 'y'; there are x"):
        found.test("x", "y")
    with pytest.raises(InputError, match="no statistic 'tau'; there are kendall, pairs"):
        found.draws("tau")


@given(
    st.lists(
        st.tuples(st.integers(-5, 5) | st.just(math.inf), st.integers(-5, 5)),
        min_size=3,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_rank_statistics_ignore_increasing_transforms_and_the_order(
    rows: list[tuple[float, int]], random: Any
) -> None:
    scores = pd.DataFrame({"x": [x for x, _ in rows]}, dtype=float)
    result = pd.Series([float(y) for _, y in rows])
    usual = compare(scores, result, k=3, resamples=3)
    transformed = compare(np.exp(scores) + scores, result, k=3, resamples=3)
    for name in RANK_STATISTICS:
        np.testing.assert_array_equal(usual.draws(name), transformed.draws(name))
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = compare(scores.iloc[order], result.iloc[order], k=3, resamples=1)
    before, after = point(usual, "x"), point(shuffled, "x")
    assert after == pytest.approx(before, abs=1e-12, nan_ok=True)
    exact = ("kendall", "pairs", "spearman")
    np.testing.assert_array_equal([after[name] for name in exact], [before[name] for name in exact])
