"""Neighbours of a recipe: one edit away, where one gene drawn anew would be another cell.

A gene says a step by the places of its inputs among the nodes before it, so that another step, or
one more, changes what all later ones read. An edit leaves the rest as it is.

Source of the idea: Real et al. 2019, "Regularized evolution for image classifier architecture
search", whose mutations exchange one operation or one input.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from archscout.errors import InputError
from archscout.spaces.recurrent.recipe import ACTIVATIONS, INPUT, Node, Recipe

_LINEAR_INPUTS = 3  # at most, as the published grammar has them
_EXCHANGED = {"elementwise_prod": "elementwise_sum", "elementwise_sum": "elementwise_prod"}

Nodes = dict[str, Node]


def mutate(recipe: Recipe, rng: random.Random) -> Recipe:
    """A recipe that one edit makes of another.

    The edits, of a node drawn at random, are: another operation (an activation for another, a
    product for a sum), another input, a new node before one of its inputs, one input more or less
    of a linear node, and leaving the node out, so that one of its inputs takes its place. What no
    recipe may be is drawn again.
    """
    while True:
        name = rng.choice(recipe.order)
        # What the node may read without a circle.
        before = [*recipe.sources, *recipe.order[: recipe.order.index(name)]]
        edited = rng.choice(_EDITS)(dict(recipe.nodes), name, before, rng)
        if edited is None:
            continue
        try:
            return Recipe(edited)
        except InputError:
            continue


def _exchange(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node = nodes[name]
    if node.op in ACTIVATIONS:
        op = rng.choice([each for each in ACTIVATIONS if each != node.op])
    elif node.op in _EXCHANGED:
        op = _EXCHANGED[node.op]
    else:
        return None
    return nodes | {name: Node(op=op, input=node.input)}


def _rewire(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node = nodes[name]
    if not (free := _free(node, before)):
        return None
    inputs = list(node.input)
    inputs[rng.randrange(len(inputs))] = rng.choice(free)
    return nodes | {name: Node(op=node.op, input=tuple(inputs))}


def _insert(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node = nodes[name]
    place = rng.randrange(len(node.input))
    source = node.input[place]
    op = rng.choice([*ACTIVATIONS, *_EXCHANGED])
    others = [each for each in before if each not in (INPUT, source)]
    if source == INPUT or (op in _EXCHANGED and not others):
        return None
    inputs = (source, rng.choice(others)) if op in _EXCHANGED else (source,)
    added = next(f"node_{i}" for i in range(len(nodes) + 1) if f"node_{i}" not in nodes)
    read = tuple(added if i == place else each for i, each in enumerate(node.input))
    return nodes | {added: Node(op=op, input=inputs), name: Node(op=node.op, input=read)}


def _read_more(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node, free = nodes[name], _free(nodes[name], before)
    if node.op != "linear" or len(node.input) == _LINEAR_INPUTS or not free:
        return None
    return nodes | {name: Node(op=node.op, input=(*node.input, rng.choice(free)))}


def _read_less(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node = nodes[name]
    if node.op != "linear" or len(node.input) == 1:
        return None
    left_out = rng.randrange(len(node.input))
    inputs = node.input[:left_out] + node.input[left_out + 1 :]
    return nodes | {name: Node(op=node.op, input=inputs)}


def _leave_out(nodes: Nodes, name: str, before: list[str], rng: random.Random) -> Nodes | None:
    node = nodes.pop(name)
    source = rng.choice(node.input)
    if name.startswith("h_new"):
        return None
    return {
        other: Node(op=each.op, input=tuple(source if i == name else i for i in each.input))
        for other, each in nodes.items()
    }


_EDITS: tuple[Callable[[Nodes, str, list[str], random.Random], Nodes | None], ...] = (
    _exchange,
    _rewire,
    _insert,
    _read_more,
    _read_less,
    _leave_out,
)


def _free(node: Node, before: list[str]) -> list[str]:
    """What the node may read and does not yet: the input of the layer only where it is linear."""
    takes = [each for each in before if each not in node.input]
    return [each for each in takes if each != INPUT or node.op == "linear"]
