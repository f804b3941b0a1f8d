"""Candidates: formulas with how well they rank the architectures of a part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from archscout.analysis.kendall import Floats, kendall_tau_b
from archscout.metrics.formula import PREFIX, Formula, parse


@dataclass(frozen=True)
class Candidate:
    """A formula and how it did on the part on which it was bred.

    Attributes:
        formula: its text.
        kendall: τ-b with the trained result, which way better being the formula's own: never
            negative. A value that is not finite ranks last; 0 where all values are the same.
        larger_is_better: which way is better.
        finite: of how many architectures the value is finite.
        size: of how many quantities and operations it is made.
        fitness: `kendall` less the penalty for the size.
    """

    formula: str
    kendall: float
    larger_is_better: bool
    finite: int
    size: int
    fitness: float

    @property
    def metric(self) -> str:
        """The name of the metric that it is, of which larger is better."""
        parsed = parse(self.formula)
        return f"{PREFIX}{parsed if self.larger_is_better else Formula('-', (parsed,))}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def rate(formula: Formula, values: Floats, results: Floats, penalty: float) -> Candidate:
    """A candidate from a formula's values (n,) and what the architectures reached (n,)."""
    taus = {larger: kendall(values if larger else -values, results) for larger in (True, False)}
    larger = taus[True] >= taus[False]
    return Candidate(
        formula=str(formula),
        kendall=max(taus[larger], 0.0),
        larger_is_better=larger,
        finite=int(np.isfinite(values).sum()),
        size=formula.size,
        fitness=max(taus[larger], 0.0) - penalty * formula.size,
    )


def kendall(scores: Floats, results: Floats) -> float:
    """Kendall's τ-b of scores (n,), those not finite last, with results (n,); 0 if undefined."""
    ranked = np.where(np.isfinite(scores), scores, -np.inf)
    return float(np.nan_to_num(kendall_tau_b(ranked, results)))


def best(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """The fittest candidates, of those whose τ-b is the same to 9 digits the smallest only.

    Mostly these are one ranking, written in several ways. But different rankings can have the same
    τ-b, for n architectures without ties give only n (n - 1) / 2 + 1 values: they count as one.
    """
    order = sorted(candidates, key=lambda c: (-c.fitness, c.size, c.formula))
    found: dict[float, Candidate] = {}
    for candidate in order:
        found.setdefault(round(candidate.kendall, 9), candidate)
    return list(found.values())[:count]
