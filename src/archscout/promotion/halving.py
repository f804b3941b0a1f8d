"""Successive halving: short trainings choose who is trained longer.

All that enter are trained for a ninth of the recipe; the third of them with the lowest validation
loss goes on to three times as much, and the third of these is trained whole; below a budget of 4
one is, and from there on two at least: near relatives part late, and who learns faster need not
learn better.
A training is continued, never begun anew, so a candidate costs the part that it was trained for.

Shorter first rungs, and Hyperband's brackets, in which some enter at a later rung, were tried on
learning curves, see docs/search.md: a first rung below one pass over the text ranks by who starts
fast, and gated cells start slowly.

Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
optimization".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from archscout.errors import InputError

PARTS = (1 / 9, 1 / 3, 1.0)
"""Of a full training, after which candidates are compared: the rungs."""
LEAST = 1.0
"""Of a budget, in full trainings: one candidate, trained whole."""
_TWO_FROM = 4.0
"""Of a budget: two candidates at least are trained whole; one below."""

Train = Callable[[Sequence[str], float], Mapping[str, float]]
FrontOf = Callable[[Mapping[str, float]], Mapping[str, int]]


class Rung(NamedTuple):
    """How far candidates are trained, and how many.

    Attributes:
        until: part of a full training, in (0, 1].
        size: candidates that are trained so far.
    """

    until: float
    size: int


def schedule(budget: float, pool: int, parts: Sequence[float] = PARTS) -> list[Rung]:
    """The rungs that a budget pays for, as many candidates in the first as it can.

    Args:
        budget: in full trainings, at least 1.
        pool: candidates that there are.
        parts: of a full training, after which candidates are compared, rising to 1.

    Raises:
        InputError: the budget is below one training, or there is no candidate.

    Examples:
        >>> [(rung.size, round(rung.until, 3)) for rung in schedule(2, 100)]
        [(7, 0.111), (2, 0.333), (1, 1.0)]
    """
    check_budget(budget)
    if pool < 1:
        raise InputError("there is no candidate to train")
    is_large = budget >= _TWO_FROM
    found = _rungs(1, parts, is_large)
    for first in range(2, pool + 1):
        larger = _rungs(first, parts, is_large)
        if cost(larger) > budget:
            break
        found = larger
    return found


def cost(rungs: Sequence[Rung]) -> float:
    """What rungs cost, in full trainings."""
    before = [0.0, *(rung.until for rung in rungs)]
    return math.fsum(
        rung.size * (rung.until - start) for rung, start in zip(rungs, before, strict=False)
    )


def check_budget(budget: float) -> None:
    """Make sure that a budget, in full trainings, pays for one.

    Raises:
        InputError: it does not.
    """
    if not budget >= LEAST:
        raise InputError(
            f"the budget is {budget:g} full trainings; the least is {LEAST:g}, one candidate "
            "trained whole"
        )


def halve(
    order: Sequence[str],
    rungs: Sequence[Rung],
    train: Train,
    front_of: FrontOf | None = None,
) -> str | None:
    """Train candidates by rungs; the best one that was trained whole.

    Args:
        order: candidates, first those that are to enter first.
        rungs: see `schedule`.
        train: trains candidates until a part of a full training; returns their validation losses,
            infinite where a training failed. Equal losses keep the candidates' order.
        front_of: by candidate the number of the front that nothing before dominates, from the
            losses of those that did not fail; where it is given, better fronts go on first.

    Returns:
        None where every training failed.
    """
    alive = list(order)
    for rung in rungs:
        alive = alive[: rung.size]
        losses = train(alive, rung.until)
        finished = {name: losses[name] for name in alive if math.isfinite(losses[name])}
        is_last = rung is rungs[-1]
        front = {} if front_of is None or is_last else front_of(finished)
        alive = sorted(finished, key=lambda name: (front.get(name, 1), finished[name]))
    return alive[0] if alive else None


def _rungs(first: int, parts: Sequence[float], is_large: bool) -> list[Rung]:
    """The rungs where so many begin at the first one; all cost about the same."""
    *sizes, whole = [max(1, round(first * parts[0] / until)) for until in parts]
    sizes.append(min([max(2, whole), first, *sizes]) if is_large else 1)
    return [Rung(until, size) for until, size in zip(parts, sizes, strict=True)]
