"""Searches compared on a benchmark, where every result is known before anything is trained.

A search meets the benchmark's architectures in random order, scores them, and trains the best k by
score so far; what it has found is the best result among these. As the benchmark holds all results,
a search can be repeated in a thousand orders at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archscout.analysis.kendall import Floats, Integers, Ranking
from archscout.errors import InputError

RANDOM = "random"
"""The search that trains the first k architectures that it meets."""
TRAINED = (1, 5)
ROUND_BUDGETS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Numbers of architectures scored that are looked at wherever there are so many."""

_BUDGETS = 40
_Steps = NDArray[np.int32]


def compare_searches(
    scores: pd.DataFrame,
    results: pd.Series[float],
    *,
    larger_is_better: Mapping[str, bool],
    result_larger_is_better: bool,
    trained: Sequence[int] = TRAINED,
    orders: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The best trained result that searches find, against the number of architectures scored.

    All searches meet the architectures in the same random orders. Of equal scores the one that is
    met first counts as better. A training that failed counts as the worst of those that did not.

    Args:
        scores: (n, M) a row an architecture, a column the metric of one search; what is NaN or
            infinite ranks last. The search `random`, which scores nothing, is added.
        results: (n,) of the same architectures; NaN where training failed.
        larger_is_better: by metric.
        result_larger_is_better: False for losses.
        trained: how many of the best by score are trained, each a search of its own.
        orders: how many random orders.
        seed: of the orders.

    Returns:
        One row a search, `trained` and `scored`: of the best result found, in units of the results,
        the `mean` over the orders, their middle 95 % (`low`, `high`) and their middle half
        (`lower`, `upper`); and `random_trainings`, how many networks one must train at random to
        find as good a result in the mean.
    """
    for name, value in (("orders", orders), *(("trained", k) for k in trained)):
        if value < 1:
            raise InputError(f"{name} is {value}; a whole number of at least 1 is accepted")
    if RANDOM in scores:
        raise InputError(f"a metric is called {RANDOM!r}, as the search without one; rename it")
    sign = 1.0 if result_larger_is_better else -1.0
    reached: Floats = np.array(sign * results.reindex(scores.index), dtype=np.float64)
    if np.isnan(reached).all():
        raise InputError("no architecture has a result; at least one is needed to compare searches")
    reached[np.isnan(reached)] = np.nanmin(reached)
    met = _orders(len(reached), orders, seed)
    even = np.geomspace(1, len(reached), _BUDGETS).round().astype(int)
    budgets = np.unique([*even, *(budget for budget in ROUND_BUDGETS if budget <= len(reached))])
    at_random = np.maximum.accumulate(reached[met], axis=0).mean(axis=1)
    ranks = {RANDOM: np.ones(len(reached), dtype=np.intp)} | _ranks(scores, larger_is_better)
    frames = []
    for name, ranked in ranks.items():
        found = simulate(ranked, reached, met, trained, budgets)
        for k, best in zip(trained, found, strict=True):
            frames.append(_summary(name, k, budgets, best, at_random, sign))
    return pd.concat(frames, ignore_index=True)


def _orders(n: int, count: int, seed: int) -> _Steps:
    """(n, R) the item that each order meets at each step."""
    generator = np.random.default_rng(seed)
    drawn = generator.permuted(np.tile(np.arange(n, dtype=np.int32), (count, 1)), axis=1)
    return np.ascontiguousarray(drawn.T)


def _ranks(scores: pd.DataFrame, larger_is_better: Mapping[str, bool]) -> dict[str, Integers]:
    """(n,) ranks by metric, 1 the worst, ties sharing one."""
    ranks = {}
    for name in map(str, scores):
        values = scores[name].to_numpy(dtype=float) * (1.0 if larger_is_better[name] else -1.0)
        ranking = Ranking.of(np.where(np.isfinite(values), values, -np.inf))
        ranks[name] = len(ranking.starts) - ranking.group
    return ranks


def simulate(
    ranks: Integers, results: Floats, met: _Steps, trained: Sequence[int], budgets: Integers
) -> Floats:
    """The best result of one search in every order, whenever a budget is used up.

    Args:
        ranks: (n,) by score, larger is better, from 1.
        results: (n,) larger is better.
        met: (n, R) the item that each of R orders meets at each step.
        trained: (K,) how many of the best by score are trained.
        budgets: (N,) numbers of items scored, rising, from 1.

    Returns:
        (K, N, R).
    """
    count = met.shape[1]
    kept = np.zeros((count, max(trained)), dtype=ranks.dtype)
    reached = np.full(kept.shape, -np.inf)
    found = np.empty((len(trained), len(budgets), count))
    wanted = {int(budget): i for i, budget in enumerate(budgets)}
    for step, items in enumerate(met, start=1):
        _keep(kept, reached, ranks[items], results[items])
        if step in wanted:
            best = np.maximum.accumulate(reached, axis=1)
            found[:, wanted[step]] = best[:, [k - 1 for k in trained]].T
    return found


def _keep(kept: Integers, reached: Floats, ranks: Integers, results: Floats) -> None:
    """Put what was met among the best so far, (R, K), best first, where it belongs there."""
    rows = np.flatnonzero(ranks > kept[:, -1])
    joined = np.concatenate([kept[rows], ranks[rows, None]], axis=1)
    beside = np.concatenate([reached[rows], results[rows, None]], axis=1)
    order = np.argsort(-joined, axis=1, kind="stable")[:, :-1]
    kept[rows] = np.take_along_axis(joined, order, axis=1)
    reached[rows] = np.take_along_axis(beside, order, axis=1)


def _summary(
    name: str, trained: int, budgets: Integers, found: Floats, at_random: Floats, sign: float
) -> pd.DataFrame:
    """Rows of one search from what it found, (N, R)."""
    means = found.mean(axis=1)
    parts = np.sort(sign * np.percentile(found, [2.5, 25, 75, 97.5], axis=1), axis=0)
    # What is found by the same trainings may come out a rounding apart.
    slack = 1e-12 * np.abs(at_random).max()
    return pd.DataFrame(
        {
            "search": name,
            "trained": trained,
            "scored": budgets,
            "mean": sign * means,
            **dict(zip(("low", "lower", "upper", "high"), parts, strict=True)),
            "random_trainings": np.searchsorted(at_random, means - slack) + 1,
        }
    )
