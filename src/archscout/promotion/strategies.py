"""Ways of spending a budget of training, which a search is compared with.

A strategy says who is trained and how long, and nothing of what trains them: the same strategies
train networks (`comparison`), and are simulated on results that are known (`analysis`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from archscout.promotion.halving import PARTS, Rung, halve, schedule

Name = Literal["search", "random", "random, halved", "best by score"]
STRATEGIES: tuple[Name, ...] = get_args(Name)


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Who is trained, and how long.

    Attributes:
        name: of it.
        order: candidates, first those that are to enter first.
        rungs: see `halving`; of one rung where all are trained whole.
    """

    name: Name
    order: Sequence[str]
    rungs: Sequence[Rung]

    def spend(self, train: Callable[[Sequence[str], float], Mapping[str, float]]) -> str | None:
        """Train, and return the candidate that is found; see `halving.halve`."""
        return halve(self.order, self.rungs, train)


def strategies(
    ranked: Sequence[str],
    drawn: Sequence[str],
    budget: float,
    parts: Sequence[float] = PARTS,
) -> list[Strategy]:
    """Every way of spending a budget on the same candidates, the search's own first.

    Args:
        ranked: candidates, the best by score first.
        drawn: the same, or others, in a random order that no score has a part in.
        budget: in full trainings, at least 1.
        parts: of a full training, after which candidates are compared, rising to 1.

    Raises:
        InputError: the budget is below one training, or there is no candidate.
    """
    whole = [Rung(1.0, int(budget))]
    return [
        Strategy("search", ranked, schedule(budget, len(ranked), parts)),
        Strategy("random", drawn, whole),
        Strategy("random, halved", drawn, schedule(budget, len(drawn), parts)),
        Strategy("best by score", ranked, whole),
    ]
