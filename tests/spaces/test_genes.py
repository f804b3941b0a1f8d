"""From a recurrent cell back to the genes that suggest it."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from archscout import spaces
from archscout.spaces.recurrent.recipe import Recipe
from archscout.spaces.recurrent.sampler import MAX_STEPS, SEARCH_STEPS, genes, suggest

SPACE = spaces.RecurrentSpace()


class Given:
    """A trial whose genes are given."""

    def __init__(self, found: dict[str, float]) -> None:
        self._found = found

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self._found[name])

    def suggest_float(self, name: str, low: float, high: float) -> float:
        assert low <= self._found[name] < high
        return self._found[name]


@pytest.mark.parametrize("name", SPACE.named)
@pytest.mark.parametrize("steps", [SEARCH_STEPS, MAX_STEPS])
def test_named_cells_have_genes(name: str, steps: int) -> None:
    found = genes(SPACE.named[name], steps)
    assert found is not None and len(found) == steps + 2
    assert SPACE.fingerprint(suggest(Given(found), steps)) == SPACE.fingerprint(SPACE.named[name])


def test_nearly_all_sampled_cells_have_genes() -> None:
    cells = [SPACE.live(recipe) for recipe in islice(SPACE.samples(1), 300)]
    found = [genes(cell, SEARCH_STEPS) for cell in cells]
    assert sum(each is not None for each in found) > 290
    for cell, each in zip(cells, found, strict=True):
        if each is not None:
            assert SPACE.canonical(suggest(Given(each), SEARCH_STEPS)) == SPACE.canonical(cell)


def test_what_takes_more_steps_or_is_outside_the_grammar_has_no_genes() -> None:
    assert genes(SPACE.named["lstm"], 8) is None
    blind = Recipe.from_json(  # one that reads no x, which every suggested cell does
        {
            "n0": {"op": "linear", "input": ["h_prev_0", "h_prev_1"]},
            "h_new_0": {"op": "activation_tanh", "input": ["n0"]},
            "h_new_1": {"op": "activation_sigm", "input": ["n0"]},
        }
    )
    assert genes(blind, SEARCH_STEPS) is None


def test_a_space_says_the_genes_that_it_itself_reads() -> None:
    for space in (SPACE, spaces.RecurrentSpace(states=2), spaces.RecurrentSpace(states=1)):
        of_states = [
            cell for cell in space.named.values() if space.states in (None, cell.num_states)
        ]
        found = spaces.classics(space)
        assert len(found) == len(of_states) > 0
        for cell, each in zip(of_states, found, strict=True):
            assert space.fingerprint(space.suggest(Given(each))) == space.fingerprint(cell)
    assert spaces.classics(spaces.RecurrentSpace(steps=4)) == [genes(SPACE.named["rnn"], 4)]


class GivenWords:
    """A trial whose genes are words that are given."""

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        assert self._found[name] in choices
        return self._found[name]


def test_every_encoder_has_genes() -> None:
    space = spaces.FlexibertSpace()
    for encoder in (*space.named.values(), *space.published_sample[:50]):
        assert space.suggest(GivenWords(space.genes(encoder))) == encoder  # type: ignore[arg-type]
    assert spaces.classics(space) == [space.genes(each) for each in space.named.values()]
    assert space.parse("bert-tiny") == space.named["bert-tiny"]
    assert space.describe(space.named["bert-mini"]).startswith("256 wide: SDP 4h 1024, SDP")


@pytest.mark.parametrize("name", ["gru", "lstm", "rnn"])
def test_genes_of_neighbours_are_those_of_the_same_cell(name: str) -> None:
    known = 0
    for seed in range(60):
        cell = SPACE.live(SPACE.mutate(SPACE.named[name], random.Random(seed)))
        if (found := SPACE.genes(cell)) is not None:
            known += 1
            assert SPACE.fingerprint(SPACE.suggest(Given(found))) == SPACE.fingerprint(cell)
    assert known > 20


def test_a_linear_node_of_one_input_has_no_genes() -> None:
    cell = SPACE.parse(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "p": {"op": "elementwise_prod", "input": ["a", "h_prev_0"]},
            "q": {"op": "linear", "input": ["p"]},
            "h_new_0": {"op": "activation_tanh", "input": ["q"]},
        }
    )
    assert SPACE.genes(cell) is None
