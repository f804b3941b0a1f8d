"""Which metrics say the same: rank correlations among them, and clusters of metrics that agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from archscout.analysis.kendall import Floats, kendall_tau_b
from archscout.errors import InputError

THRESHOLD = 0.8
"""|τ-b| from which two metrics count as one."""

_COLUMNS = [
    *("members", "least", "best", "best_kendall"),
    *("cheapest", "cheapest_milliseconds", "metrics"),
]


@dataclass(frozen=True, eq=False)
class Redundancy:
    """How far metrics rank architectures alike.

    Attributes:
        correlations: (M, M) Kendall's τ-b between the metrics, ordered so that those which agree
            stand together; NaN where two share no architectures that both tell apart.
        clusters: (M,) number of each metric's cluster, from 1, in the same order; every two members
            of a cluster have |τ-b| of at least the threshold.
        constant: metrics that rank nothing, and are left out.
    """

    correlations: pd.DataFrame = field(repr=False)
    clusters: pd.Series = field(repr=False)
    constant: tuple[str, ...]

    def table(self, kendall: pd.Series, milliseconds: pd.Series) -> pd.DataFrame:
        """The clusters of several members, in their order.

        Args:
            kendall: of each metric with the trained result.
            milliseconds: that each metric takes for an architecture; NaN where that is not known.

        Returns:
            `members` (count), `least` (the smallest |τ-b| between two), `best` (the member with the
            largest `kendall`), `best_kendall`, `cheapest`, `cheapest_milliseconds`, and `metrics`,
            the members, comma-separated; the index counts from 1.
        """
        rows = []
        for members in self.clusters.groupby(self.clusters).groups.values():
            if len(members) < 2:
                continue
            names = [str(name) for name in members]
            quality, cost = kendall.reindex(names), milliseconds.reindex(names)
            between = np.abs(self.correlations.loc[names, names].to_numpy(dtype=float))
            best = quality.idxmax() if quality.notna().any() else None
            cheapest = cost.idxmin() if cost.notna().any() else None
            of_quality, of_cost = (best, quality.max()), (cheapest, cost.min())
            rows.append((len(names), between.min(), *of_quality, *of_cost, ", ".join(names)))
        index = pd.RangeIndex(1, len(rows) + 1, name="cluster")
        return pd.DataFrame(rows, index, _COLUMNS)


def redundancy(
    scores: pd.DataFrame, larger_is_better: Mapping[str, bool], threshold: float = THRESHOLD
) -> Redundancy:
    """Correlate metrics with each other, and cluster them.

    Clusters are those of complete linkage over the distance 1 - |τ-b|: metrics that rank in
    opposite ways know the same, and so count as alike.

    Args:
        scores: (n, M) a row an architecture, a column a metric; NaN is missing, and two metrics are
            correlated over the architectures that both have.
        larger_is_better: by metric: both are turned so that larger is better.
        threshold: |τ-b|, above 0 and at most 1.

    Source:
        Defays, "An efficient algorithm for a complete link method", The Computer Journal 20 (1977).
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold}; above 0 and up to 1 is accepted")
    constant = tuple(str(name) for name in scores if scores[name].nunique() < 2)
    ranked = scores.drop(columns=list(constant))
    signs = np.array([1.0 if larger_is_better[str(name)] else -1.0 for name in ranked])
    correlations = _correlations(ranked.to_numpy(dtype=float) * signs)
    names = list(ranked.columns)
    order, numbers = _clustered(correlations, threshold)
    table = pd.DataFrame(correlations, index=names, columns=names).iloc[order, order]
    clusters = pd.Series(numbers, index=names, dtype=int).iloc[order]
    renumbered = {number: i for i, number in enumerate(dict.fromkeys(clusters), start=1)}
    return Redundancy(table, clusters.map(renumbered), constant)


def _correlations(scores: Floats) -> Floats:
    """(M, M) τ-b between the columns of scores (n, M)."""
    count = scores.shape[1]
    missing = np.isnan(scores)
    correlations: Floats = np.eye(count)
    for a, b in combinations(range(count), 2):
        both = ~(missing[:, a] | missing[:, b])
        correlations[a, b] = correlations[b, a] = kendall_tau_b(scores[both, a], scores[both, b])
    return correlations


def _clustered(correlations: Floats, threshold: float) -> tuple[list[int], list[int]]:
    """An order that puts what agrees together, and the cluster of each metric."""
    count = len(correlations)
    if count < 2:
        return list(range(count)), [1] * count
    distances = 1 - np.abs(np.nan_to_num(correlations))
    # Of metrics that rank alike a rounding may be left, and no distance is negative.
    condensed = squareform(np.clip(distances, 0, 1), checks=False)
    tree = hierarchy.linkage(condensed, "complete", optimal_ordering=True)
    numbers = hierarchy.fcluster(tree, 1 - threshold + 1e-12, "distance")
    return hierarchy.leaves_list(tree).tolist(), numbers.tolist()
