"""Ways of spending a budget of training, which a search is compared with.

A strategy says who is trained and how long, and nothing of what trains them: the same strategies
train networks (`comparison`), and are simulated on results that are known (`analysis`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import pandas as pd

from archscout.promotion.entrants import Breed, enter
from archscout.promotion.halving import PARTS, FrontOf, Rung, Train, halve, schedule

Name = Literal["search", "random", "random, halved", "best by score"]
STRATEGIES: tuple[Name, ...] = get_args(Name)


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Who is trained, and how long.

    Attributes:
        name: of it.
        order: candidates, first those that are to enter first.
        rungs: see `halving`; of one rung where all are trained whole.
        features: of the candidates, where a strategy learns on the way, see `entrants.enter`.
        breed: makes children of those that did best, where it does.
    """

    name: str
    order: Sequence[str]
    rungs: Sequence[Rung]
    features: pd.DataFrame | None = None
    breed: Breed | None = None

    def spend(self, train: Train, front_of: FrontOf | None = None) -> str | None:
        """Train, and return the candidate that is found; see `halving.halve`."""
        order = self.order
        if self.features is not None:
            order = enter(order, self.features, self.rungs[0], train, self.breed)
        return halve(order, self.rungs, train, front_of)


def strategies(
    order: Sequence[str],
    features: pd.DataFrame,
    ranked: Sequence[str],
    drawn: Sequence[str],
    budget: float,
    parts: Sequence[float] = PARTS,
    breed: Breed | None = None,
) -> list[Strategy]:
    """Every way of spending a budget on the same candidates, the search's own first.

    Args:
        order: candidates, those that are to enter a search's first rung first.
        features: of these, see `entrants.enter`.
        ranked: candidates, the best by score first.
        drawn: the same, or others, in a random order that no score has a part in; none, where none
            is within the limits.
        budget: in full trainings, at least 1.
        parts: of a full training, after which candidates are compared, rising to 1.
        breed: makes children for the search, see `entrants.enter`.

    Raises:
        InputError: the budget is below one training, or there is no candidate.
    """
    whole = [Rung(1.0, int(budget))]
    return [
        Strategy("search", order, schedule(budget, len(order), parts), features, breed),
        Strategy("random", drawn, whole),
        Strategy("random, halved", drawn, schedule(budget, len(drawn) or 1, parts)),
        Strategy("best by score", ranked, whole),
    ]
