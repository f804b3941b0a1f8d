"""Neighbours of recipes."""

from __future__ import annotations

import random

import pytest

from archscout.spaces import RecurrentSpace
from archscout.spaces.recurrent.cells import CELLS
from archscout.spaces.recurrent.recipe import ACTIVATIONS, Recipe

SPACE = RecurrentSpace()


def neighbours(recipe: Recipe, count: int = 300) -> list[Recipe]:
    rng = random.Random(0)
    return [SPACE.mutate(recipe, rng) for _ in range(count)]


@pytest.mark.parametrize("name", list(CELLS))
def test_a_neighbour_is_one_edit_away(name: str) -> None:
    cell = CELLS[name]
    for other in neighbours(cell):
        added = other.nodes.keys() - cell.nodes.keys()
        gone = cell.nodes.keys() - other.nodes.keys()
        changed = [n for n in cell.nodes if n in other.nodes and other.nodes[n] != cell.nodes[n]]
        assert other.num_states == cell.num_states
        if gone:  # whose readers read one of its inputs
            (left_out,) = gone
            assert not added
            assert all(left_out in cell.nodes[each].input for each in changed)
        else:
            assert len(changed) == 1 and len(added) <= 1
            assert all(node in other.nodes[changed[0]].input for node in added)


def test_all_kinds_of_edits_are_made_and_many_neighbours_found() -> None:
    lstm = CELLS["lstm"]
    found = neighbours(lstm)
    assert {len(each.nodes) - len(lstm.nodes) for each in found} == {-1, 0, 1}
    ops = {
        (lstm.nodes[n].op, each.nodes[n].op)
        for each in found
        for n in lstm.nodes
        if n in each.nodes
    }
    assert {("activation_sigm", other) for other in ACTIVATIONS} <= ops
    assert ("elementwise_prod", "elementwise_sum") in ops
    inputs = {
        len(each.nodes[n].input) - len(lstm.nodes[n].input)
        for each in found
        for n in lstm.nodes
        if n in each.nodes
    }
    assert inputs == {-1, 0, 1}
    marks = {SPACE.fingerprint(SPACE.live(each)) for each in found}
    assert len(marks) > 100
    assert sum(SPACE.genes(each) is not None for each in found) > len(found) / 3


def test_neighbours_follow_from_the_random_numbers_and_leave_their_origin_as_it_is() -> None:
    gru, before = CELLS["gru"], CELLS["gru"].to_json()
    assert neighbours(gru, 20) == neighbours(gru, 20)
    assert gru.to_json() == before


def test_the_smallest_recipe_has_neighbours() -> None:
    smallest = Recipe.from_json({"h_new_0": {"op": "linear", "input": ["x"]}})
    assert {len(each.nodes) for each in neighbours(smallest, 20)} == {1}
