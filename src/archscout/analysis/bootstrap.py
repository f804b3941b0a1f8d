"""Statistics of a score against a result in many bootstrap resamples at once.

As in `kendall`, a resample is a column of weights, and each statistic is exactly that of the
items written out as often as they were drawn; weights of one give the statistic of the items
themselves. Scores and results are oriented: larger is better.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from archscout.analysis.kendall import (
    Floats,
    Integers,
    Ranking,
    WeightedRanking,
    concordance,
    dot,
    kendall_tau,
    partial_tau,
    ratio,
)

STATISTICS = ("kendall", "pairs", "spearman", "pearson", "overlap", "regret", "partial")

# Resamples at once: enough to keep matrix products fast; more would only take memory.
CHUNK_SIZE = 500

# Metrics at once: each takes memory of some times n × CHUNK_SIZE numbers.
THREADS = min(os.cpu_count() or 1, 4)


@dataclass(frozen=True)
class Measurements:
    """Some metrics of the same n architectures, and what these reached.

    Attributes:
        scores: For each metric (n,) scores, -inf where the network exploded.
        result: (n,) finite results.
        control: (n,) what partial correlation controls for, or None.
        k: How many of the best `overlap` and `regret` look at.
    """

    scores: Sequence[Floats]
    result: Floats
    control: Floats | None
    k: int

    @cached_property
    def rankings(self) -> list[Ranking]:
        """Of each metric."""
        return [Ranking.of(scores) for scores in self.scores]

    @cached_property
    def result_ranking(self) -> Ranking:
        """Of the result."""
        return Ranking.of(self.result)

    @cached_property
    def control_ranking(self) -> Ranking | None:
        """Of the control."""
        return None if self.control is None else Ranking.of(self.control)


def resamples(n: int, count: int, seed: int) -> Iterator[Floats]:
    """Draws n of n items with replacement, `count` times.

    Gives weights (n, R) of up to `CHUNK_SIZE` resamples at once. Resample i depends on n, the seed
    and i alone.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, count, CHUNK_SIZE):
        weights = np.empty((n, min(CHUNK_SIZE, count - start)))
        for column in range(weights.shape[1]):
            weights[:, column] = np.bincount(generator.integers(n, size=n), minlength=n)
        yield weights


def statistics(measured: Measurements, weights: Floats) -> Floats:
    """Every statistic of every metric in every resample.

    Args:
        measured: M metrics of n architectures.
        weights: (n, R) how often each resample has each architecture.

    Returns:
        (R, M, 7) in the order of `STATISTICS`; NaN where a statistic is not defined, and in
        resamples with fewer than two distinct architectures.
    """
    shared = _Shared.of(measured, weights)
    with ThreadPoolExecutor(THREADS) as threads:
        values = np.stack([*threads.map(shared.statistics, measured.scores, measured.rankings)], 1)
    values[np.count_nonzero(weights, axis=0) < 2] = np.nan
    return values


@dataclass(frozen=True)
class _Shared:
    """What all metrics share in R resamples.

    Attributes:
        measured: The metrics, the result and the control.
        weights: (n, R) of the resamples.
        result: Ranking by result.
        result_ranks: (n, R) weights times ranks by result.
        control: Ranking by control, or None.
        control_tau: (R,) of control and result; NaN without control.
    """

    measured: Measurements
    weights: Floats
    result: WeightedRanking
    result_ranks: Floats
    control: WeightedRanking | None
    control_tau: Floats

    @classmethod
    def of(cls, measured: Measurements, weights: Floats) -> _Shared:
        result = WeightedRanking.of(measured.result_ranking, weights)
        ranks = weights * result.ranks[result.ranking.group]
        if measured.control_ranking is None:
            return cls(measured, weights, result, ranks, None, np.full(weights.shape[1], np.nan))
        control = WeightedRanking.of(measured.control_ranking, weights)
        tau = kendall_tau(control, result, concordance(control, result))
        return cls(measured, weights, result, ranks, control, tau)

    def statistics(self, scores: Floats, ranking: Ranking) -> Floats:
        """(R, 7) of one metric."""
        score = WeightedRanking.of(ranking, self.weights)
        difference = concordance(score, self.result)
        kendall = kendall_tau(score, self.result, difference)
        with_control = np.full_like(kendall, np.nan)
        if self.control is not None:
            with_control = kendall_tau(score, self.control, concordance(score, self.control))
        best = np.minimum(self.measured.k, score.total)
        columns = (
            kendall,
            (1 + ratio(difference, self.result.untied_pairs)) / 2,
            _spearman(score, self.result, self.result_ranks),
            pearson(scores, self.measured.result, self.weights),
            overlap(score, self.result, best),
            regret(score, self.result, self.measured.result, best),
            partial_tau(kendall, with_control, self.control_tau),
        )
        return np.stack(columns, axis=1)


def _spearman(score: WeightedRanking, result: WeightedRanking, result_ranks: Floats) -> Floats:
    """Spearman's ρ, (R,), the mean rank for ties.

    `result_ranks` (n, R) are weights times ranks of the result, the same for all metrics.
    """
    ranking = score.ranking
    ranks = score.ranks
    if len(ranks) < len(ranking.order):
        ranks = ranks[ranking.group[ranking.order]]
    covariance = dot(ranks, result_ranks[ranking.order])
    return ratio(covariance, np.sqrt(score.rank_squares * result.rank_squares))


def pearson(scores: Floats, result: Floats, weights: Floats) -> Floats:
    """Pearson's r of the finite scores (n,) and the result (n,), (R,)."""
    finite = np.isfinite(scores)
    if not finite.all():
        scores, result, weights = scores[finite], result[finite], weights[finite]
    (x, of_x), (y, of_y) = (_centred(values, weights) for values in (scores, result))
    return ratio(dot(weights, x, y), np.sqrt(of_x) * np.sqrt(of_y))


def _centred(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Values (n,) less their mean in each resample, (n, R), and the sum of their squares, (R,)."""
    # Squares of very large values would overflow.
    values = values / (np.abs(values).max(initial=0) or 1)
    total = weights.sum(axis=0)
    mean = ratio(values @ weights, total)
    centred: Floats = values[:, None] - mean
    squares = dot(weights, centred, centred)
    # A resample of equal values may be some roundings away from their mean.
    return centred, np.where(squares > total * (1e-14 * mean) ** 2, squares, 0)


def overlap(score: WeightedRanking, result: WeightedRanking, k: Floats) -> Floats:
    """What share of the k best by score are among the k best by result, (R,).

    Where the k-th place is tied, an item of that tie group is among the best with the probability
    that it is in when ties are broken at random, for scores and results independently; the share
    is the expectation. Copies of an item are tied with each other, too. k (R,) is at most as many
    as a resample has items.
    """
    found = [_inclusion(ranking, k) for ranking in (score, result)]
    ranking = score.ranking
    stop = int(ranking.ends[len(found[0]) - 1])
    positions = np.flatnonzero(result.ranking.group[ranking.order[:stop]] < len(found[1]))
    items = ranking.order[positions]
    by_score, by_result = found[0][ranking.group[items]], found[1][result.ranking.group[items]]
    return ratio(dot(score.weights[positions], by_score, by_result), k)


def _inclusion(ranked: WeightedRanking, k: Floats) -> Floats:
    """(g, R) probability that an item is among the k best, for the tie groups where it is not 0."""
    groups = _groups_of_best(ranked, k)
    sizes, through = ranked.sizes[:groups], ranked.through[:groups]
    return np.nan_to_num(np.clip(ratio(k - through + sizes, sizes), 0, 1))


def _groups_of_best(ranked: WeightedRanking, k: Floats) -> int:
    """So many tie groups, best first, hold the k best items of each resample."""
    groups = 1
    while groups < len(ranked.through) and (ranked.through[groups - 1] < k).any():
        groups = min(2 * groups, len(ranked.through))
    return groups


def regret(score: WeightedRanking, result: WeightedRanking, values: Floats, k: Floats) -> Floats:
    """How far the best result among the k best by score is below the best of all, (R,).

    Where the k-th place is tied, the expectation over which items of that tie group are taken. The
    results are values (n,); k (R,) is at most as many as a resample has items.
    """
    drawn = result.sizes[: _groups_of_best(result, np.minimum(k, 1))] > 0
    groups = values[result.ranking.order[result.ranking.starts[: len(drawn)]]]
    best = groups[drawn.argmax(axis=0)]
    shortfall: Floats = np.maximum(best - _best_of_chosen(score, values, k), 0)
    return shortfall


def _best_of_chosen(score: WeightedRanking, values: Floats, k: Floats) -> Floats:
    """(R,) the best result expected among the k best by score."""
    ranking = score.ranking
    groups = _groups_of_best(score, k)
    through = score.through[:groups]
    items = ranking.order[: ranking.ends[groups - 1]]
    certain = (through <= k)[ranking.group[items]] & (score.weights[: len(items)] > 0)
    best: Floats = np.where(certain, values[items][:, None], -np.inf).max(axis=0)
    cut = (through > k).argmax(axis=0)
    everyone = np.arange(len(k))
    places = k - (through - score.sizes[:groups])[cut, everyone]
    tied = (through[cut, everyone] > k) & (places > 0)
    for group in np.unique(cut[tied]):
        affected = np.flatnonzero(tied & (cut == group))
        stretch = slice(int(ranking.starts[group]), int(ranking.ends[group]))
        best[affected] = _expected_maximum(
            values[ranking.order[stretch]],
            score.weights[stretch, affected],
            places[affected],
            best[affected],
        )
    return best


def _expected_maximum(values: Floats, weights: Floats, drawn: Floats, floor: Floats) -> Floats:
    """Expected largest of a floor and of some items drawn without replacement, (R,).

    The probability that none of the j best is drawn is hypergeometric.

    Args:
        values: (n,) of the items.
        weights: (n, R) copies of each item.
        drawn: (R,) how many copies are drawn, fewer than there are.
        floor: (R,).
    """
    order: Integers = np.argsort(-values)
    worse = weights.sum(axis=0) - np.cumsum(weights[order], axis=0)
    worse = np.concatenate([weights.sum(axis=0, keepdims=True), worse])
    enough: NDArray[np.bool_] = worse >= drawn
    ways = gammaln(worse + 1) - gammaln(np.where(enough, worse - drawn, 0) + 1)
    none_drawn = np.where(enough, np.exp(ways - ways[0]), 0)
    return dot(np.maximum(values[order][:, None], floor), none_drawn[:-1] - none_drawn[1:])
