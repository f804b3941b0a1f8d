"""How one generation of formulas follows from the one before.

A generation depends on the seed, its number and the generation before alone, so that a run that
was killed goes on as if it had not been.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from deap import tools

from archscout.metric_search.candidates import Candidate, best
from archscout.metric_search.grammar import Grammar, is_small, seeded
from archscout.metrics.formula import Formula, parse

TOURNAMENT = 4
"""Candidates of which the fittest becomes a parent."""
_KEPT = 0.1  # of a generation, the best, kept as they are
_CROSSED, _MUTATED = 0.55, 0.35  # of the others; what is left is drawn anew
_TRIES = 50  # for each formula that differs from all others of its generation


def first_generation(grammar: Grammar, population: int, seed: int) -> list[Formula]:
    """Different formulas drawn at random; fewer where hardly any are left."""
    with seeded(seed, 0):
        return _different([], population, grammar.draw)


def next_generation(
    grammar: Grammar, before: Sequence[Candidate], population: int, seed: int, number: int
) -> list[Formula]:
    """The best of a generation, and different formulas made from its fitter ones."""

    def parent() -> Formula:
        (chosen,) = tools.selTournament(before, 1, TOURNAMENT)
        return parse(chosen.formula)

    def child() -> Formula:
        way = random.random()
        if way < _CROSSED:
            return grammar.cross(parent(), parent())
        return grammar.mutate(parent()) if way < _CROSSED + _MUTATED else grammar.draw()

    kept = best(before, max(1, round(_KEPT * population)))
    with seeded(seed, number):
        return _different([parse(entry.formula) for entry in kept], population, child)


def _different(
    formulas: Sequence[Formula], count: int, make: Callable[[], Formula]
) -> list[Formula]:
    found = {str(formula): formula for formula in formulas}
    for _ in range(_TRIES * count):
        if len(found) >= count:
            break
        made = make()
        if is_small(made):
            found.setdefault(str(made), made)
    return list(found.values())
