"""Formulas drawn, crossed and mutated, and the generations that are made of them."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from archscout.metric_search.candidates import Candidate
from archscout.metric_search.evolution import first_generation, next_generation
from archscout.metric_search.grammar import HEIGHT, SIZE, Grammar, is_small, seeded
from archscout.metrics.formula import Formula, parse
from archscout.metrics.formula.operations import OPERATIONS, TERMINALS

PROGRAM = """
from archscout.metric_search.grammar import Grammar, seeded
grammar = Grammar(["hidden_states", "weights", "output", "parameters"])
with seeded(5, 1):
    drawn = [grammar.draw() for _ in range(40)]
    for one, other in zip(drawn, drawn[1:]):
        print(grammar.cross(one, other), "|", grammar.mutate(one))
"""


@pytest.fixture(scope="module")
def grammar():
    return Grammar(TERMINALS)


def candidates(formulas):
    return [
        Candidate(str(formula), 1 / (2 + i), True, 9, formula.size, 1 / (2 + i))
        for i, formula in enumerate(formulas)
    ]


def test_all_that_is_made_is_a_number(grammar):
    with seeded(0):
        drawn = [grammar.draw() for _ in range(300)]
        made = [grammar.cross(*random.sample(drawn, 2)) for _ in range(300)]
        made += [grammar.mutate(random.choice(drawn)) for _ in range(300)]
    for formula in (*drawn, *made):
        assert formula.type.is_number
        assert parse(str(formula)) == formula
    assert {str(f) for f in made} - {str(f) for f in drawn}


def test_every_operation_and_quantity_is_drawn(grammar):
    seen = set()

    def look(formula: Formula) -> None:
        seen.add((formula.name, len(formula.arguments)))
        for part in formula.arguments:
            look(part)

    with seeded(1):
        for _ in range(3000):
            look(grammar.draw())
    wanted = {(entry.name, entry.arity) for entry in OPERATIONS} - {("-", 1)}
    assert wanted | {(name, 0) for name in TERMINALS} <= seen


def test_only_the_quantities_asked_for():
    grammar = Grammar(["weights", "parameters"])
    with seeded(0):
        needs = set().union(*(grammar.draw().needs for _ in range(200)))
    assert needs == {"weights", "parameters"}


def test_what_is_drawn_depends_on_the_seed_alone(grammar):
    state = random.getstate()
    with seeded(1, 2):
        first = [str(grammar.draw()) for _ in range(20)]
    assert random.getstate() == state
    with seeded(1, 2):
        assert [str(grammar.draw()) for _ in range(20)] == first
    with seeded(1, 3):
        assert [str(grammar.draw()) for _ in range(20)] != first


@pytest.mark.slow
def test_every_process_draws_the_same():
    printed = [
        subprocess.run(
            [sys.executable, "-c", padding + PROGRAM],
            capture_output=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"},
        ).stdout
        for seed, padding in ((1, ""), (2, "kept = [object() for _ in range(99999)]\n"))
    ]
    assert printed[0] == printed[1] != b""


def test_a_generation_has_different_and_small_formulas(grammar):
    first = first_generation(grammar, 40, 0)
    assert len({str(formula) for formula in first}) == 40
    second = next_generation(grammar, candidates(first), 40, 0, 1)
    assert len({str(formula) for formula in second}) == 40
    assert all(is_small(formula) for formula in (*first, *second))
    assert max(formula.height for formula in second) <= HEIGHT
    assert max(formula.size for formula in second) <= SIZE


def test_the_best_are_kept_and_the_rest_follow_from_the_seed(grammar):
    first = candidates(first_generation(grammar, 20, 0))
    second = next_generation(grammar, first, 20, 0, 1)
    assert [str(formula) for formula in second[:2]] == [entry.formula for entry in first[:2]]
    assert next_generation(grammar, first, 20, 0, 1) == second
    assert next_generation(grammar, first, 20, 0, 2) != second
    assert next_generation(grammar, first, 20, 1, 1) != second


def test_where_hardly_any_formula_is_left(grammar, monkeypatch):
    monkeypatch.setattr(grammar, "draw", lambda: parse("parameters"))
    assert first_generation(grammar, 5, 0) == [Formula("parameters")]
