"""What the tests of the recurrent space share."""

import random
from collections.abc import Callable

import pytest

from archscout.spaces.recurrent.recipe import Node, Recipe

INTERCHANGEABLE = ("linear", "elementwise_prod", "elementwise_sum")
ODD_NAMES = ("a.b", "h_new_x", "h_prev", "weights", "über", "two words", "X", "h_new_", "0")


@pytest.fixture(scope="session")
def rewritten() -> Callable[..., Recipe]:
    """A function that writes a recipe in another way, at random."""

    def rewrite(
        recipe: Recipe,
        rng: random.Random,
        names: bool = True,
        order: bool = True,
        inputs: bool = True,
        states: bool = True,
    ) -> Recipe:
        new_name = {name: name for name in ("x", *recipe.nodes)}
        if names:
            new_states = {f"h_new_{i}" for i in range(recipe.num_states)}
            inner = [name for name in recipe.nodes if name not in new_states]
            pool = [*ODD_NAMES, *(f"n{i}" for i in range(len(inner)))]
            new_name |= zip(inner, rng.sample(pool, len(inner)), strict=True)
        extra = list(range(1, recipe.num_states))
        shuffled = rng.sample(extra, len(extra)) if states else extra
        for old, new in zip([0, *extra], [0, *shuffled], strict=True):
            new_name[f"h_prev_{old}"] = f"h_prev_{new}"
            new_name[f"h_new_{old}"] = f"h_new_{new}"
        nodes = {}
        written = list(recipe.nodes)
        for name in rng.sample(written, len(written)) if order else written:
            node = recipe.nodes[name]
            sources = [new_name[source] for source in node.input]
            if inputs and node.op in INTERCHANGEABLE:
                rng.shuffle(sources)
            nodes[new_name[name]] = Node(op=node.op, input=tuple(sources))
        return Recipe(nodes)

    return rewrite
