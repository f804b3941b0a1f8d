"""What a budget of training finds on a benchmark, by the strategy that spends it.

The benchmark's learning curves stand in for trainings, so that every strategy is repeated in
hundreds of random orders and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from archscout.analysis.kendall import Floats, Integers
from archscout.errors import InputError
from archscout.promotion.entrants import voices
from archscout.promotion.halving import PARTS
from archscout.promotion.strategies import strategies

BUDGETS = (1, 2, 3, 5, 10, 20)
ORDERS = 100
_SLACK = 1e-9


def compare_budgets(
    scores: pd.DataFrame,
    curves: pd.DataFrame,
    results: pd.Series[float],
    *,
    larger_is_better: Mapping[str, bool],
    result_larger_is_better: bool,
    voice: str | None = None,
    named: Collection[str] = (),
    budgets: Sequence[int] = BUDGETS,
    orders: int = ORDERS,
    seed: int = 0,
) -> pd.DataFrame:
    """The trained result that strategies find for a budget, over random orders of a pool.

    All strategies meet the architectures in the same random orders, which also decide between
    equal scores. Rungs end where the curves have a point, at the first one that is not before.

    Args:
        scores: (n, M) of metrics, by architecture: the first column is that of the search, and a
            search learns from all; what is NaN or infinite ranks last.
        curves: (n, points) validation losses by part of a full training, see
            `Benchmark.learning_curves`.
        results: (n,) of the same architectures; NaN where training failed.
        larger_is_better: by metric.
        result_larger_is_better: False for losses.
        voice: the metric that is a search's other voice, see `promotion.entrants`; chance among the
            best third without one.
        named: architectures that have a name in the literature, which enter a search first.
        budgets: in full trainings, at least 1 each.
        orders: how many random orders.
        seed: of the orders.

    Returns:
        One row a strategy and budget, over the orders: `mean` result found, and of its
        `percentile`, the share of the pool with a better result in per cent, the mean and its
        standard error (`error`). Where nothing is found, for all trainings failed, the result is
        the worst of those that did not, and the percentile 100.

    Raises:
        InputError: there are no curves, no result, or a number that cannot be used.
    """
    if orders < 1:
        raise InputError(f"orders is {orders}; a whole number of at least 1 is accepted")
    curves, reached = curves.reindex(scores.index), results.reindex(scores.index)
    if curves.empty or reached.isna().all():
        raise InputError("budgets are compared by learning curves and results; here are none")
    sign = 1.0 if result_larger_is_better else -1.0
    gained: Floats = np.where(reached.isna(), -np.inf, sign * reached.to_numpy(dtype=float))
    percentiles = 100 * np.array([np.mean(gained > each) for each in gained])
    percentiles[~np.isfinite(gained)] = 100.0
    worst = gained[np.isfinite(gained)].min()
    points, losses = _points(curves, reached)
    features = _features(scores, larger_is_better)
    values = features.iloc[:, 0].to_numpy()
    other = None if voice is None else features[voice]

    def train(names: Sequence[str], until: float) -> Mapping[str, float]:
        column = losses[:, int(np.searchsorted(points, until - _SLACK))]
        return {name: float(column[int(name)]) for name in names}

    generator, found = np.random.default_rng(seed), []
    for _ in range(orders):
        places = generator.permutation(len(values))
        drawn = _named(places)
        ranked = _named(places[np.argsort(-values[places], kind="stable")])
        first = [name for name in ranked if scores.index[int(name)] in named]
        order = voices(ranked, drawn, other, first)
        for budget in budgets:
            for strategy in strategies(order, features, ranked, drawn, budget, parts(points)):
                winner = strategy.spend(train)
                place = None if winner is None else int(winner)
                found.append(
                    {
                        "strategy": strategy.name,
                        "budget": budget,
                        "result": sign * (worst if place is None else gained[place]),
                        "percentile": 100.0 if place is None else percentiles[place],
                    }
                )
    groups = pd.DataFrame(found).groupby(["strategy", "budget"], sort=False)
    return pd.DataFrame(
        {
            "mean": groups["result"].mean(),
            "percentile": groups["percentile"].mean(),
            "error": groups["percentile"].std() / np.sqrt(orders),
        }
    ).reset_index()


def _features(scores: pd.DataFrame, larger_is_better: Mapping[str, bool]) -> pd.DataFrame:
    """Larger being better, what is not finite last; architectures by their places."""
    signs = [1.0 if larger_is_better[str(name)] else -1.0 for name in scores]
    values = scores.to_numpy(dtype=float) * signs
    finite = np.where(np.isfinite(values), values, -np.inf)
    return pd.DataFrame(finite, index=_named(np.arange(len(scores))), columns=scores.columns)


def parts(points: Floats) -> list[float]:
    """The rungs' ends, moved to the next points of the curves."""
    places = np.searchsorted(points, np.array(PARTS) - _SLACK)
    return [float(points[i]) for i in np.unique(places)]


def _points(curves: pd.DataFrame, reached: pd.Series[float]) -> tuple[Floats, Floats]:
    """Parts of a training (P,), and losses there (n, P).

    A training that ended earlier keeps its last loss; that of one which failed is infinite.
    """
    wide = curves.to_numpy(dtype=float)
    last = curves.ffill(axis=1).to_numpy(dtype=float)
    failed = np.isnan(wide) & reached.isna().to_numpy()[:, None]
    losses = np.where(failed | ~np.isfinite(last), np.inf, last)
    losses[reached.isna().to_numpy(), -1] = np.inf
    return curves.columns.to_numpy(dtype=float), losses


def _named(places: Integers) -> list[str]:
    return [str(place) for place in places]
