"""Who is trained at all, and in which order.

Scores rank whole pools well but misplace single networks, and which score is right depends on the
text and the length of training. So two that are best by the search's score and one that is best by
another voice enter in turn, and once half of them are trained for a while, what became of these has
a say in who the other half is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from archscout.promotion.halving import Rung, Train

_LEAST_TO_LEARN = 4
_BEST = 3  # chance draws from the best of so many parts
_PENALTY = 0.1  # of the ridge regression, on features that are ranks from -1/2 to 1/2


def two_voices(
    ranked: Sequence[str], drawn: Sequence[str], other: pd.Series[float] | None = None
) -> list[str]:
    """Two of those that are best by the search's score, one by another voice, and so on.

    Args:
        ranked: candidates, the best first.
        drawn: the same in a random order.
        other: values of another metric by name, larger being better; without, the other voice is
            chance among the best third.
    """
    if other is None:
        third = set(ranked[: -(-len(ranked) // _BEST)])
        second = [name for name in drawn if name in third]
    else:
        place = {name: i for i, name in enumerate(ranked)}
        second = sorted(ranked, key=lambda name: (-other[name], place[name]))
    first = iter(ranked)
    return list(_in_turn((first, first, iter(second))))


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
) -> list[str]:
    """Those that enter the first rung, of which the first half is trained for it by now.

    The other half are in turn the best by what was learned of the first, the best child by it, and
    the next in the order.

    Args:
        order: candidates, those that are to enter first by what is known before any training.
        features: (n, F) of these, and of children, see `breeding`, by name, more being better by
            what is known; the first is the search's score.
        rung: the first one.
        train: see `halving.halve`.
    """
    half = first_half(order, rung)
    if not half:
        return list(order[: rung.size])
    predicted = predict(features, train(half, rung.until))
    everyone = list(dict.fromkeys([*order, *features.index]))
    place = {name: i for i, name in enumerate(everyone)}
    learned = sorted(everyone, key=lambda name: (-predicted[name], place[name]))
    others = set(order)
    children = [name for name in learned if name not in others]
    rest = [iter(each) for each in (learned, children, order)]
    seen = dict.fromkeys(half)
    for name in _in_turn(rest, seen):
        if len(seen) == rung.size:
            break
        seen[name] = None
    return list(seen)


def predict(features: pd.DataFrame, losses: Mapping[str, float]) -> dict[str, float]:
    """How well each candidate will do, more being better, from what some came to.

    A ridge regression of the ranks of losses on the ranks of features, which begins with the first
    feature alone, and is drawn away from it by what the losses say. Failures have the last rank.

    Args:
        features: (n, F) of all candidates, by name; what is not finite ranks last.
        losses: of some of them, infinite where a training failed.
    """
    # Takes half a second, which searches without a budget need not spend.
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

    finite = features.where(np.isfinite(features), -np.inf)
    x = finite.rank(pct=True) - 0.5
    reached = pd.Series(losses, dtype=float).rank(ascending=False, pct=True) - 0.5
    known = x.loc[reached.index]
    start = np.zeros(x.shape[1])
    start[0] = 1.0
    model = Ridge(alpha=_PENALTY).fit(known.to_numpy(), reached - known.to_numpy() @ start)
    said = x.to_numpy() @ start + model.predict(x.to_numpy())
    return dict(zip(x.index, said.tolist(), strict=True))


def _in_turn(
    orders: Sequence[Iterator[str]], seen: Mapping[str, object] | None = None
) -> Iterator[str]:
    """The next of each that was not seen, in turn, until all are at their end."""
    yielded: set[str] = set()
    waiting = list(orders)
    while waiting:
        left = []
        for order in waiting:
            name = next((n for n in order if n not in yielded and n not in (seen or ())), None)
            if name is not None:
                yielded.add(name)
                yield name
                left.append(order)
        waiting = left
