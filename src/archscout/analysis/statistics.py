"""How well training-free metrics predict trained results, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archscout.analysis.bootstrap import STATISTICS, Measurements, resamples, statistics
from archscout.analysis.kendall import Floats
from archscout.errors import InputError

Mask = NDArray[np.bool_]

MINIMUM = 3  # architectures, below which no statistic says anything


@dataclass(frozen=True)
class Difference:
    """By how much a statistic of one metric exceeds that of another.

    Attributes:
        difference: On the architectures that both metrics have.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        p_value: Two-sided, for no difference.
        n: Architectures that both metrics have.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True)
class _Sample:
    """The architectures with a result.

    Attributes:
        scores: (n, M) oriented; NaN is missing, -inf exploded.
        result: (n,) oriented.
        control: (n,) or None.
        k: How many of the best `overlap` and `regret` look at.
        count: Bootstrap resamples.
        seed: Of the bootstrap.
    """

    scores: Floats
    result: Floats
    control: Floats | None
    k: int
    count: int
    seed: int

    def problem(self, metric: int) -> str | None:
        """Why a metric has no statistics, if it has none."""
        present = ~np.isnan(self.scores[:, metric])
        scores = self.scores[present, metric]
        if len(scores) < MINIMUM:
            return f"fewer than {MINIMUM} architectures have a score"
        if np.isneginf(scores).all():
            return "constant: no architecture has a finite score"
        if (scores == scores[0]).all():
            return "constant: every architecture has the same score"
        if (self.result[present] == self.result[present][0]).all():
            return "constant: every architecture has the same result"
        return None

    def measurements(self, metrics: list[int], present: Mask) -> Measurements:
        """Metrics that all have a score where `present` (n,)."""
        return Measurements(
            scores=[self.scores[present, metric] for metric in metrics],
            result=self.result[present],
            control=None if self.control is None else self.control[present],
            k=self.k,
        )

    def statistics(self) -> Floats:
        """(1 + resamples, M, 7), first those of the sample itself; NaN for metrics with a problem.

        Metrics with the same architectures share the work on results and control.
        """
        n, metrics = self.scores.shape
        together: dict[bytes, list[int]] = {}
        for metric in range(metrics):
            if self.problem(metric) is None:
                together.setdefault(np.isnan(self.scores[:, metric]).tobytes(), []).append(metric)
        groups = []
        for members in together.values():
            present = ~np.isnan(self.scores[:, members[0]])
            groups.append((members, present, self.measurements(members, present)))
        values = np.full((1 + self.count, metrics, len(STATISTICS)), np.nan)
        row = 0
        for weights in chain([np.ones((n, 1))], resamples(n, self.count, self.seed)):
            rows = slice(row, row + weights.shape[1])
            row = rows.stop
            for members, present, measured in groups:
                chosen = weights if present.all() else weights[present]
                values[rows, members] = statistics(measured, chosen)
        return values


@dataclass(frozen=True, eq=False)
class Comparison:
    """Statistics of some metrics against one result, with their bootstrap.

    Attributes:
        table: One row a metric. `n` counts the architectures with a score and a result; `problem`
            says why there are no statistics, or is None; each statistic has its value and the ends
            of its 95 % percentile interval (`kendall`, `kendall_low`, `kendall_high`, ...).
        failed: Architectures left out for want of a result.
    """

    table: pd.DataFrame
    failed: int
    _sample: _Sample = field(repr=False)
    _values: Floats = field(repr=False)

    def draws(self, statistic: str) -> Floats:
        """A statistic in each resample, (R, M), metrics as in the table.

        NaN where the resample does not define it.

        Raises:
            InputError: If there is no such statistic.
        """
        return self._values[1:, :, _position(statistic)].copy()

    def test(self, a: str, b: str, statistic: str = "kendall") -> Difference:
        """Is metric `a` better than metric `b`? A paired bootstrap test, on the same resamples.

        Both are taken on the architectures that both have. The p-value is twice the smaller share
        of the resamples in which the difference is not above, or not below, 0; one resample is
        added to each count, so that p is never 0.

        Args:
            a: A metric.
            b: Another metric.
            statistic: Whose difference, that of `a` less that of `b`. Of regret, less is better.

        Raises:
            InputError: If there is no such metric or statistic.

        Source:
            Davison and Hinkley, "Bootstrap Methods and their Application" (1997), chapter 4.
        """
        position = _position(statistic)
        metrics = [self._column(a), self._column(b)]
        scores = self._sample.scores[:, metrics]
        missing = np.isnan(scores)
        both: Mask = np.asarray(~missing.any(axis=1))
        if (missing[:, 0] == missing[:, 1]).all():
            values = self._values[:, metrics]
        else:
            common = np.where(both[:, None], scores, np.nan)
            values = replace(self._sample, scores=common).statistics()
        return _difference(values[:, 0, position], values[:, 1, position], int(both.sum()))

    def _column(self, metric: str) -> int:
        names = list(self.table.index)
        if metric not in names:
            raise InputError(f"there is no metric {metric!r}; there are {_listed(names)}")
        return names.index(metric)


def compare(
    scores: pd.DataFrame,
    results: pd.Series[float],
    *,
    larger_is_better: Mapping[str, bool] | None = None,
    result_larger_is_better: bool = True,
    control: pd.Series[float] | None = None,
    k: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compares metrics with trained results: rank correlations, top k, and their uncertainty.

    All is oriented so that a positive correlation means: the metric predicts as it claims. The
    statistics:

    - `kendall`: Kendall's τ-b.
    - `pairs`: share of the pairs with different results that the score orders right; a tied score
      counts half.
    - `spearman`: Spearman's ρ.
    - `pearson`: Pearson's r, of finite scores only.
    - `overlap`: share of the k best by score that are among the k best by result.
    - `regret`: how far the best of the k best by score is below the best of all, in units of the
      result.
    - `partial`: Kendall's partial τ given `control`; NaN without one, and where the metric ranks
      as the control does.

    Where the k-th place is tied, `overlap` and `regret` are the expectation under breaking ties at
    random. Intervals come from one bootstrap over architectures that all metrics share.

    Args:
        scores: (n, M), a row an architecture, a column a metric. NaN is missing; an infinite score
            of either sign is that of a network whose states exploded, and ranks last.
        results: (n,) with the same architectures in any order; NaN is a network that failed, which
            is left out.
        larger_is_better: Of the metrics that claim so or the opposite; by default they claim so.
        result_larger_is_better: False for losses and perplexities.
        control: (n,) what partial correlation controls for, as the number of parameters.
        k: Of `overlap` and `regret`; at most n is used.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        InputError: If the architectures of the arguments differ, fewer than 3 have a result,
            a result is infinite, a control is missing, or `k` or `resamples` is below 1.

    Examples:
        >>> names = [f"architecture {i}" for i in range(20)]
        >>> scores = pd.DataFrame({"metric": range(20)}, index=names, dtype=float)
        >>> losses = pd.Series([abs(i - 18) for i in range(20)], index=names, dtype=float)
        >>> comparison = compare(scores, losses, result_larger_is_better=False, k=1)
        >>> row = comparison.table.loc["metric", ["kendall", "overlap", "regret"]]
        >>> [round(float(value), 2) for value in row]
        [0.99, 0.0, 1.0]
    """
    for name, value in (("k", k), ("resamples", resamples)):
        if not isinstance(value, Integral) or value < 1:
            raise InputError(f"{name} is {value!r}; a whole number of at least 1 is accepted")
    oriented = _oriented(scores, larger_is_better or {})
    result = _aligned(results, scores, "results")
    trained = ~np.isnan(result)
    _check_results(result, int(trained.sum()))
    controls = None if control is None else _aligned(control, scores, "control")[trained]
    if controls is not None and not np.isfinite(controls).all():
        missing = scores.index[trained][~np.isfinite(controls)].tolist()[0]
        raise InputError(
            f"control has no finite value for {missing!r}; each architecture needs one"
        )
    signed = result[trained] if result_larger_is_better else -result[trained]
    sample = _Sample(oriented[trained], signed, controls, k, resamples, seed)
    values = sample.statistics()
    table = _table(sample, values, scores.columns)
    return Comparison(table, int(np.count_nonzero(~trained)), sample, values)


def with_ends(*names: str) -> list[str]:
    """The columns of some statistics in a table, each with the ends of its interval."""
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def error_bars(table: pd.DataFrame, name: str) -> Floats:
    """(2, n) how far the ends of a statistic's intervals are from it; 0 where there are none."""
    value, low, high = table[with_ends(name)].to_numpy(dtype=float).T
    return np.nan_to_num(np.abs([low - value, high - value]))


def _oriented(scores: pd.DataFrame, larger_is_better: Mapping[str, bool]) -> Floats:
    """(n, M) larger is better, -inf for every infinite score."""
    names = list(scores.columns)
    if len(set(names)) < len(names):
        raise InputError(f"scores names a metric twice among {_listed(names)}; names must differ")
    for name in larger_is_better:
        if name not in names:
            raise InputError(
                f"larger_is_better names {name!r}, which is no column of scores; these are "
                f"{_listed(names)}"
            )
    signs = [1.0 if larger_is_better.get(name, True) else -1.0 for name in names]
    values: Floats = _floats(scores, "scores") * np.array(signs)
    values[np.isinf(values)] = -np.inf
    return values


def _aligned(series: pd.Series[float], scores: pd.DataFrame, name: str) -> Floats:
    """(n,) the values of the architectures of `scores`, in their order."""
    if not series.index.equals(scores.index):
        unique = series.index.is_unique and scores.index.is_unique
        if not unique or set(series.index) != set(scores.index):
            raise InputError(
                f"{name} and scores are of different architectures ({len(series)} and "
                f"{len(scores)}); the same index is accepted, in any order"
            )
        series = series.reindex(scores.index)
    return _floats(series, name)


def _floats(values: pd.DataFrame | pd.Series[float], name: str) -> Floats:
    try:
        return np.asarray(values.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} holds what is no number ({error}); numbers are accepted"
        ) from None


def _check_results(result: Floats, trained: int) -> None:
    if np.isinf(result).any():
        raise InputError("results holds an infinite value; NaN says that a network failed")
    if trained < MINIMUM:
        raise InputError(
            f"results has {trained} architectures with a result; at least {MINIMUM} are accepted"
        )


def _table(sample: _Sample, values: Floats, metrics: pd.Index[str]) -> pd.DataFrame:
    index = metrics.rename("metric")
    problems = [sample.problem(metric) for metric in range(len(metrics))]
    columns: dict[str, object] = {
        "n": np.count_nonzero(~np.isnan(sample.scores), axis=0),
        # A column of strings would turn None into NaN.
        "problem": pd.Series(problems, index=index, dtype=object),
    }
    for position, name in enumerate(STATISTICS):
        drawn = values[:, :, position]
        intervals = [_interval(draws) for draws in drawn[1:].T]
        columns[name] = drawn[0]
        columns[f"{name}_low"] = [low for low, _ in intervals]
        columns[f"{name}_high"] = [high for _, high in intervals]
    return pd.DataFrame(columns, index=index)


def _interval(draws: Floats) -> tuple[float, float]:
    """Ends of the 95 % percentile interval of (R,) draws, of those that are not NaN."""
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return np.nan, np.nan
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _difference(a: Floats, b: Floats, n: int) -> Difference:
    """Of two statistics (1 + R,), first on the sample itself, then in the resamples."""
    differences = a - b
    # What two metrics share may come out a rounding apart.
    differences[np.abs(differences) <= 1e-12 * np.maximum(np.abs(a), np.abs(b))] = 0
    draws = differences[1:][~np.isnan(differences[1:])]
    low, high = _interval(draws)
    extreme = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p_value = min(1.0, 2 * (extreme + 1) / (len(draws) + 1)) if len(draws) else np.nan
    return Difference(float(differences[0]), low, high, float(p_value), n)


def _position(statistic: str) -> int:
    if statistic not in STATISTICS:
        raise InputError(f"there is no statistic {statistic!r}; there are {_listed(STATISTICS)}")
    return STATISTICS.index(statistic)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
