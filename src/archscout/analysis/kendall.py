"""Rankings under the weights of a bootstrap, and Kendall's tau of two of them.

A resample of n items is a vector of n weights, how often each item was drawn. Everything here takes
the weights of many resamples at once, shape (n, R), and is exact: what comes out for a resample
is what the plain statistic gives on its items written out as often as they were drawn. All sums
are of whole numbers far below 2⁵³, so that float64 rounds none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

# Items of a block: the products within blocks grow with it, the grid of blocks shrinks with it.
BLOCK_SIZE = 128

# Multiplications in a matrix product up to which OpenBLAS keeps to one thread.
ONE_THREAD = 2**18


@dataclass(frozen=True)
class Ranking:
    """Items from the best to the worst, in groups of ties.

    Attributes:
        order: (n,) the items, best first.
        starts: (G,) where each tie group starts in `order`.
        group: (n,) the tie group of each item, 0 the best.
    """

    order: Integers
    starts: Integers
    group: Integers

    @classmethod
    def of(cls, values: Floats) -> Ranking:
        """Ranks values (n,), of which the largest is the best; -inf is allowed, NaN is not."""
        order = np.argsort(-values, kind="stable")
        ordered = values[order]
        first = np.ones(len(values), dtype=bool)
        first[1:] = ordered[1:] != ordered[:-1]
        group = np.empty(len(values), dtype=np.intp)
        group[order] = np.cumsum(first) - 1
        return cls(order, np.flatnonzero(first), group)

    @cached_property
    def ends(self) -> Integers:
        """(G,) where each tie group ends in `order`."""
        return np.append(self.starts[1:], len(self.order))

    @cached_property
    def blocks(self) -> list[slice]:
        """Stretches of `order` of at most `BLOCK_SIZE` items that split no tie group.

        A larger tie group is a block of its own.
        """
        blocks, start, group = [], 0, 0
        while group < len(self.ends):
            fitting = int(np.searchsorted(self.ends, start + BLOCK_SIZE, side="right"))
            group = max(fitting, group + 1)
            blocks.append(slice(start, int(self.ends[group - 1])))
            start = blocks[-1].stop
        return blocks

    @cached_property
    def block(self) -> Integers:
        """(n,) the block of each item."""
        block = np.empty(len(self.order), dtype=np.intp)
        for number, stretch in enumerate(self.blocks):
            block[self.order[stretch]] = number
        return block


@dataclass(frozen=True)
class WeightedRanking:
    """A ranking of the items of R resamples.

    Attributes:
        ranking: Of the n items.
        weights: (n, R) how often each resample has each item, in the order of the ranking.
    """

    ranking: Ranking
    weights: Floats

    @classmethod
    def of(cls, ranking: Ranking, weights: Floats) -> WeightedRanking:
        """Brings weights (n, R) of the items into the order of the ranking."""
        return cls(ranking, weights[ranking.order])

    @cached_property
    def total(self) -> Floats:
        """(R,) items of each resample."""
        total: Floats = self.weights.sum(axis=0)
        return total

    @cached_property
    def sizes(self) -> Floats:
        """(G, R) items of each tie group."""
        if len(self.ranking.starts) == len(self.weights):
            return self.weights
        return np.add.reduceat(self.weights, self.ranking.starts, axis=0)

    @cached_property
    def through(self) -> Floats:
        """(G, R) items of each tie group and of all better ones."""
        through = self.sizes.copy()
        # Row by row, as np.cumsum goes down one column after another, past the cache.
        for better, group in pairwise(through):
            group += better
        return through

    @cached_property
    def untied_pairs(self) -> Floats:
        """(R,) pairs of items that are not tied."""
        return (self.total**2 - dot(self.sizes, self.sizes)) / 2

    @cached_property
    def ranks(self) -> Floats:
        """(G, R) the rank of each tie group, ties sharing their mean rank, less the mean of all."""
        ranks = self.through - self.sizes / 2
        ranks -= self.total / 2
        return ranks

    @cached_property
    def rank_squares(self) -> Floats:
        """(R,) sum over the items of their squared `ranks`."""
        return (self.total**3 - dot(self.sizes, self.sizes, self.sizes)) / 12


def concordance(x: WeightedRanking, y: WeightedRanking) -> Floats:
    """Concordant less discordant pairs of two rankings of the same n items, (R,).

    Both rankings are cut into blocks. Pairs in one block of x, and pairs in one block of y but in
    two of x, are compared one by one, as quadratic forms of the weights. All other pairs are
    decided by their blocks, so that only the weight of each cell of the grid (blocks of x times
    blocks of y) matters: going down the blocks of x, `above` holds what was met in each block of y.

    For b items a block this takes O(R (n b + (n/b)³)) operations, nearly all in matrix products.
    """
    rows, columns = x.ranking, y.ranking
    count = len(columns.blocks)
    below = np.sign(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
    above = np.zeros((count, x.weights.shape[1]))
    difference = np.zeros(x.weights.shape[1])
    for items, weights in _blocks(x):
        difference += _within(rows.group[items], columns.group[items], weights)
        placed = (np.ones(len(items)), (columns.block[items], np.arange(len(items))))
        cells: Floats = np.asarray(sparse.csr_array(placed, shape=(count, len(items))) @ weights)
        difference += dot(cells, _product(below, above))
        above += cells
    for items, weights in _blocks(y):
        apart = np.not_equal.outer(rows.block[items], rows.block[items])
        difference += _within(columns.group[items], rows.group[items], weights, apart)
    return difference


def kendall_tau(x: WeightedRanking, y: WeightedRanking, difference: Floats) -> Floats:
    """Kendall's τ-b of two rankings from their `concordance`, (R,); NaN where one ties every pair.

    Source:
        Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945).
    """
    return ratio(difference, np.sqrt(x.untied_pairs * y.untied_pairs))


def kendall_tau_b(a: Any, b: Any) -> float:
    """Kendall's τ-b of two columns of numbers (n,); NaN where one of them ranks nothing."""
    if min(len(np.unique(a)), len(np.unique(b))) < 2:
        return np.nan
    return float(stats.kendalltau(a, b).statistic)


def partial_tau(xy: Floats, xz: Floats, yz: Floats) -> Floats:
    """Kendall's partial τ of x and y given z, from their three τ-b, each (R,).

    NaN where x or y ranks as z does, or against it.

    Source:
        Kendall, "Partial rank correlation", Biometrika 32 (1942).
    """
    left_of_x, left_of_y = 1 - xz**2, 1 - yz**2
    # A τ of one may come out some roundings below it; a τ below one is so by 2/n² or more.
    left = np.where(np.minimum(left_of_x, left_of_y) > 1e-12, left_of_x * left_of_y, 0)
    return ratio(xy - xz * yz, np.sqrt(left))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0 or NaN."""
    quotient: Floats = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def dot(*factors: Floats) -> Floats:
    """Sum over the rows of the product of arrays (n, R), (R,)."""
    product: Floats = np.einsum(",".join(["nr"] * len(factors)) + "->r", *factors)
    return product


def _blocks(weighted: WeightedRanking) -> Iterator[tuple[Integers, Floats]]:
    for block in weighted.ranking.blocks:
        yield weighted.ranking.order[block], weighted.weights[block]


def _within(
    own: Integers, other: Integers, weights: Floats, counted: NDArray[np.bool_] | None = None
) -> Floats:
    """Concordant less discordant pairs in one block, (R,).

    Args:
        own: (b,) tie groups in the ranking whose block this is, rising.
        other: (b,) tie groups in the other ranking.
        weights: (b, R).
        counted: (b, b) the pairs that count; by default all.
    """
    if own[0] == own[-1]:
        return np.zeros(weights.shape[1])
    signs = np.sign(np.subtract.outer(own, own)) * np.sign(np.subtract.outer(other, other))
    if counted is not None:
        signs *= counted
    return dot(weights, _product(signs.astype(float), weights)) / 2


def _product(left: Floats, right: Floats) -> Floats:
    """Matrix product (b, b) by (b, R), on one thread.

    Two threads would save little on products this small, and each would wait for the other at every
    one of them: on a machine busy with other work that makes the whole ten times slower.
    """
    product = np.empty((len(left), right.shape[1]))
    width = max(ONE_THREAD // left.size, 1)
    even = right.shape[1] // width * width

    def tiles(matrix: Floats) -> Floats:
        return matrix[:, :even].reshape(len(matrix), -1, width).transpose(1, 0, 2)

    np.matmul(left, tiles(right), out=tiles(product))
    np.matmul(left, right[:, even:], out=product[:, even:])
    return product
