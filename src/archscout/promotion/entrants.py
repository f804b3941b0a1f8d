"""Who is trained at all, and in which order.

Scores rank whole pools well but misplace single networks, and which score is right depends on the
text and the length of training. So two that are best by the search's score and one that is best by
another voice enter in turn, and once half of them are trained for a while, the other half are
children of those that did best, a generation after the other, and what is best by what was learned.
As a score says less of networks that were bred for it, one of the two was not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, islice

import numpy as np
import pandas as pd

from archscout.promotion.halving import Rung, Train

Breed = Callable[[Mapping[str, float]], Sequence[str]]
"""Children of those that did best, from the losses so far, in the order in which they enter."""

_LEAST_TO_LEARN = 4
_BEST = 3  # chance draws from the best of so many parts
_PENALTY = 0.1  # of the ridge regression, on features that are ranks from -1/2 to 1/2
_GENERATIONS, _LEAST_OF_ONE = 3, 3


def voices(
    ranked: Sequence[str],
    drawn: Sequence[str],
    other: pd.Series[float] | None = None,
    named: Collection[str] = (),
    bred: Collection[str] = (),
) -> list[str]:
    """Named ones; then in turn the best by score of those not bred, of all, and by another voice.

    Args:
        ranked: candidates, the best first.
        drawn: the same in a random order.
        other: values of another metric by name, larger being better; without, the other voice is
            chance among the best third.
        named: those that have a name in the literature.
        bred: those that a sampler made of the best by score.
    """
    if other is None:
        third = set(ranked[: -(-len(ranked) // _BEST)])
        second = [name for name in drawn if name in third]
    else:
        place = {name: i for i, name in enumerate(ranked)}
        second = sorted(ranked, key=lambda name: (-other[name], place[name]))
    first = [name for name in ranked if name in named]
    unbred = [name for name in ranked if name not in bred]
    return [*first, *in_turn((iter(unbred), iter(ranked), iter(second)), first)]


def first_half(order: Sequence[str], rung: Rung) -> list[str]:
    """Those from whom it is learned who else enters; none where they would be too few, or all."""
    half = order[: -(-rung.size // 2)]
    is_worth = len(half) >= _LEAST_TO_LEARN and rung.size < len(order)
    return list(half) if is_worth else []


def enter(
    order: Sequence[str],
    features: pd.DataFrame,
    rung: Rung,
    train: Train,
    breed: Breed | None = None,
) -> list[str]:
    """Those that enter the first rung, for which they are trained by now.

    The first half are the first of the order. The others come in generations: in turn two children
    of those that did best so far, and the best by what was learned; where nothing is bred, that one
    and the next in the order.

    Args:
        order: candidates, those that are to enter first by what is known before any training.
        features: (n, F) of these, and of others, by name, more being better by what is known; the
            first is the search's score.
        rung: the first one.
        train: see `halving.halve`.
        breed: makes children; without, there are none.
    """
    half = first_half(order, rung)
    if not half:
        return list(order[: rung.size])
    entered, losses = list(half), dict(train(half, rung.until))
    for size in _generations(rung.size - len(half)) if breed else [rung.size - len(half)]:
        learned = _learned(features.loc[list(order)], losses)
        streams: list[Iterator[str]] = [iter(learned), iter(order)]
        if breed is not None:
            children = iter(breed(losses))
            streams = [children, children, chain(learned, order)]
        new = list(islice(in_turn(streams, entered), size))
        losses |= train(new, rung.until)
        entered += new
    return entered


def predict(features: pd.DataFrame, losses: Mapping[str, float]) -> dict[str, float]:
    """How well each candidate will do, more being better, from what some came to.

    A ridge regression of the ranks of losses on the ranks of features, which begins with the first
    feature alone, and is drawn away from it by what the losses say. Failures have the last rank.

    Args:
        features: (n, F) of all candidates, by name; what is not finite ranks last.
        losses: of some of them, infinite where a training failed; those of others are left out.
    """
    # Takes half a second, which searches without a budget need not spend.
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

    finite = features.where(np.isfinite(features), -np.inf)
    x = finite.rank(pct=True) - 0.5
    trained = {name: loss for name, loss in losses.items() if name in x.index}
    reached = pd.Series(trained, dtype=float).rank(ascending=False, pct=True) - 0.5
    known = x.loc[reached.index]
    start = np.zeros(x.shape[1])
    start[0] = 1.0
    model = Ridge(alpha=_PENALTY).fit(known.to_numpy(), reached - known.to_numpy() @ start)
    said = x.to_numpy() @ start + model.predict(x.to_numpy())
    return dict(zip(x.index, said.tolist(), strict=True))


def _learned(features: pd.DataFrame, losses: Mapping[str, float]) -> list[str]:
    """Of the better half by the first feature, the best by what was learned first.

    Those that were trained are among the best by score, and that the very best of them did worse
    than others says nothing of the worst of all, to which a regression would take it.
    """
    predicted = predict(features, losses)
    by_score = features.iloc[:, 0].sort_values(ascending=False, kind="stable").index
    better = by_score[: -(-len(by_score) // 2)]
    return sorted(better, key=lambda name: -predicted[name])


def in_turn(orders: Sequence[Iterator[str]], seen: Collection[str] = ()) -> Iterator[str]:
    """The next of each that was not seen, in turn, until all are at their end."""
    yielded = set(seen)
    waiting = list(orders)
    while waiting:
        left = []
        for order in waiting:
            name = next((name for name in order if name not in yielded), None)
            if name is not None:
                yielded.add(name)
                yield name
                left.append(order)
        waiting = left


def _generations(rest: int) -> list[int]:
    """How many enter in each generation."""
    count = max(1, min(_GENERATIONS, rest // _LEAST_OF_ONE))
    return [rest // count + (i < rest % count) for i in range(count)]
