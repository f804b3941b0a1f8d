"""How reliable one draw of weights or minibatch is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from archscout.analysis.kendall import kendall_tau_b
from archscout.errors import InputError


def reliability(
    draws: Sequence[pd.DataFrame],
    results: pd.Series,
    larger_is_better: Mapping[str, bool],
    result_larger_is_better: bool,
) -> pd.DataFrame:
    """Agreement between draws, which are scores by architecture and metric; one row a metric.

    Infinite scores rank last; results are NaN where training failed.

    Returns:
        `between_draws` and `between_draws_least` (Kendall's τ-b between two draws' rankings of
        all architectures: mean over pairs of draws, and the smallest), `variation` (mean over
        architectures of the standard deviation between draws, over the standard deviation between
        the architectures' means; finite scores only), `kendall` and `kendall_deviation` (τ-b with
        the results, positive where the metric predicts as it claims: mean and standard deviation
        over draws).
    """
    if len(draws) < 2:
        raise InputError(f"reliability takes at least two draws; there are {len(draws)}")
    trained = results.reindex(draws[0].index).to_numpy(dtype=float)
    rows = {}
    for name, larger in larger_is_better.items():
        scores = np.stack([draw[name].to_numpy() for draw in draws])
        complete = ~np.isnan(scores).any(0)
        known = complete & ~np.isnan(trained)
        between = [kendall_tau_b(a[complete], b[complete]) for a, b in combinations(scores, 2)]
        orientation = 1.0 if larger == result_larger_is_better else -1.0
        against = [orientation * kendall_tau_b(row[known], trained[known]) for row in scores]
        rows[name] = {
            "between_draws": np.mean(between),
            "between_draws_least": np.min(between),
            "variation": _variation(scores[:, complete]),
            "kendall": np.mean(against),
            "kendall_deviation": np.std(against, ddof=1),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def _variation(scores: np.ndarray) -> float:
    """Of scores (draws, architectures)."""
    finite = scores[:, np.isfinite(scores).all(0)]
    if finite.shape[1] < 2:
        return float("nan")
    between = finite.mean(0).std(ddof=1)
    return float(finite.std(0, ddof=1).mean() / between) if between > 0 else float("nan")
