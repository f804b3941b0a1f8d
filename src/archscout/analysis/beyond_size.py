"""What metrics say of trained results beyond the size of a network, where size says nearly all.

Three figures: the rank correlation over all networks, its mean inside parts of nearly one size, and
the share of pairs of nearly one size that are ordered right.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from archscout.analysis.kendall import Floats
from archscout.analysis.statistics import MINIMUM, with_ends

PARTS = 5
NEAR = 1.05  # the larger size over the smaller, up to which two networks are of nearly one size

RESAMPLES = 200

COLUMNS = ("spearman", "within", "near")
_TITLES = ["n", *with_ends(*COLUMNS), "pairs"]


def beyond_size(
    scores: pd.DataFrame,
    results: pd.Series[float],
    sizes: pd.Series[float],
    *,
    larger_is_better: Mapping[str, bool],
    result_larger_is_better: bool,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """How well scores rank networks, and networks of one size.

    Positive correlations, and shares over one half, say that a metric predicts as it claims.

    Args:
        scores: (n, M), a row a network; of NaN a network has no score, infinite ones rank last.
        results: (n,) of the trained networks; NaN of those that failed, which are left out.
        sizes: (n,) of the networks, over 0.
        larger_is_better: by metric.
        result_larger_is_better: of the results.
        resamples: of the bootstrap over networks.
        seed: of the bootstrap.

    Returns:
        A row a metric, best first by `within`: `n`; `spearman` over all; `within`, the mean of
        Spearman's ρ inside the `PARTS` equal parts by size; `near`, the share of pairs ordered
        right among those whose sizes differ by a factor of at most `NEAR` (a tied score counts
        half); `pairs`, how many these are; each with the ends of its 95 % interval.

    Examples:
        >>> names = list("abcdefghij")
        >>> sizes = pd.Series([1.0, 1.01, 2, 2.02, 3, 3.03, 4, 4.04, 5, 5.05], index=names)
        >>> losses = pd.Series([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0], index=names)
        >>> table = beyond_size(
        ...     sizes.to_frame("size"),
        ...     losses,
        ...     sizes,
        ...     larger_is_better={"size": True},
        ...     result_larger_is_better=False,
        ... )
        >>> table.loc["size", ["spearman", "within", "near", "pairs"]].tolist()
        [1.0, 1.0, 1.0, 5.0]
    """
    sizes, results = sizes.reindex(scores.index), results.reindex(scores.index)
    signs = [1.0 if larger_is_better[name] else -1.0 for name in map(str, scores)]
    values = scores.to_numpy(dtype=float) * signs
    values[np.isinf(values)] = -np.inf
    reached = results.to_numpy(dtype=float) * (1 if result_larger_is_better else -1)
    present = ~np.isnan(values) & ~np.isnan(reached)[:, None]
    table = pd.DataFrame(index=scores.columns.rename("metric"), columns=_TITLES, dtype=float)
    # Metrics of the same networks share the work on results and sizes.
    for mask in np.unique(present, axis=1).T:
        metrics = (present == mask[:, None]).all(axis=0)
        if mask.sum() >= MINIMUM:
            kept = values[np.ix_(mask, metrics)], reached[mask], sizes[mask].to_numpy(dtype=float)
            table.loc[metrics] = _rows(*kept, resamples, seed)
        table.loc[metrics, "n"] = mask.sum()
    return table.sort_values("within", ascending=False, kind="stable")


def _rows(scores: Floats, results: Floats, sizes: Floats, resamples: int, seed: int) -> Floats:
    """(M, columns) of scores (n, M)."""
    generator, n = np.random.default_rng(seed), len(scores)
    found, pairs = _figures(scores, results, sizes)
    drawn = [
        _figures(scores[at], results[at], sizes[at])[0]
        for at in (generator.integers(0, n, n) for _ in range(resamples))
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN")
        low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    ends = np.stack([found, low, high], axis=2).reshape(len(found), -1)
    return np.column_stack([np.full(len(found), n), ends, np.full(len(found), pairs)])


def _figures(scores: Floats, results: Floats, sizes: Floats) -> tuple[Floats, int]:
    """(M, 3) the figures, and the number of pairs."""
    parts = np.array_split(np.argsort(sizes, kind="stable"), PARTS)
    inside = np.mean([_spearman(scores[part], results[part]) for part in parts], axis=0)
    one, other = np.triu_indices(len(sizes), 1)
    ratios = np.abs(np.log(sizes[one]) - np.log(sizes[other]))
    order = np.sign(results[one] - results[other])
    near = (ratios <= np.log(NEAR)) & (order != 0)
    with np.errstate(invalid="ignore"):  # two networks that both rank last
        steps = np.nan_to_num(np.sign(scores[one[near]] - scores[other[near]]))
    count = int(near.sum())
    share = ((steps * order[near, None] + 1) / 2).sum(axis=0) / (count or np.nan)
    return np.column_stack([_spearman(scores, results), inside, share]), count


def _spearman(scores: Floats, results: Floats) -> Floats:
    """(M,) ρ; 0 where all scores are equal, which order nothing, NaN where results are."""
    ranks = stats.rankdata(scores, axis=0) - (len(scores) + 1) / 2
    wanted = stats.rankdata(results) - (len(results) + 1) / 2
    squares = (ranks**2).sum(axis=0) * (wanted**2).sum()
    undefined = np.nan if len(set(results)) < 2 else 0.0
    product: Floats = wanted @ ranks
    found: Floats = np.divide(
        product, np.sqrt(squares), out=np.full_like(product, undefined), where=squares > 0
    )
    return found
