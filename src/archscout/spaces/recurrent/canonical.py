"""The canonical form of a recipe: one recipe for all that differ in names and order only.

Recipes are coloured graphs of at most some thirty vertices. Their canonical form is found by
colour refinement with individualisation (McKay and Piperno 2014, "Practical graph isomorphism,
II"): vertices are told apart by their operation and by what surrounds them; where that leaves
several alike, each is singled out in turn and the smallest outcome is kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from archscout.spaces.recurrent.recipe import COMMUTATIVE, Node, Recipe, topological_order

Colours: TypeAlias = tuple[int, ...]
Certificate: TypeAlias = tuple[tuple[int, tuple[str, int], tuple[tuple[int, int], ...]], ...]


def fingerprint(recipe: Recipe) -> str:
    """Sixteen hexadecimal digits that equal recipes share.

    Equal are recipes that describe the same function: names and order of nodes do not count, nor
    the order of inputs where the operation is commutative, nor the numbering of the hidden
    states after the first.
    """
    return hashlib.sha256(canonical(recipe).to_json().encode()).hexdigest()[:16]


def live(recipe: Recipe) -> Recipe:
    """The recipe without what reaches no output: nodes, and hidden states that no output reads.

    It computes the same outputs. One whose live part has no linear node stays as it is: no recipe
    can be without.

    Example:
        >>> from archscout.spaces.recurrent.cells import RNN
        >>> nodes = {name: node.model_dump() for name, node in RNN.nodes.items()}
        >>> idle = {"op": "linear", "input": ["x", "h_prev_1"]}
        >>> live(Recipe.from_json(nodes | {"h_new_1": idle})) == RNN
        True
    """
    reached, waiting = {"h_new_0"}, ["h_new_0"]
    while waiting:
        name = waiting.pop()
        before = recipe.nodes[name].input if name in recipe.nodes else ()
        # A state that is read was made one step before.
        after = [name.replace("prev", "new")] if name.startswith("h_prev_") else []
        for source in {*before, *after} - reached:
            reached.add(source)
            waiting.append(source)
    # What is read within its step alone is a node like others.
    kept = [i for i in range(recipe.num_states) if not i or f"h_prev_{i}" in reached]
    nodes = {name: node for name, node in recipe.nodes.items() if name in reached}
    is_whole = len(nodes) == len(recipe.nodes) and len(kept) == recipe.num_states
    if is_whole or all(node.op != "linear" for node in nodes.values()):
        return recipe
    renamed = {
        f"h_{way}_{old}": f"h_{way}_{new}"
        for new, old in enumerate(kept)
        for way in ("prev", "new")
    }
    for i in range(recipe.num_states):
        renamed.setdefault(f"h_new_{i}", _unused(f"inner_{i}", recipe))
    return Recipe(
        {
            renamed.get(name, name): Node(
                op=node.op, input=tuple(renamed.get(source, source) for source in node.input)
            )
            for name, node in nodes.items()
        }
    )


def _unused(name: str, recipe: Recipe) -> str:
    """A name that no node has, from one that may be taken."""
    while name in recipe.nodes:
        name += "_"
    return name


@lru_cache(maxsize=1024)
def canonical(recipe: Recipe) -> Recipe:
    """The recipe with canonical names, order of nodes, and order of commutative inputs.

    Nodes are called ``n0, n1, ...`` and ``h_new_i`` and stand in an order in which they can be
    computed.
    """
    graph = _Graph(recipe)
    colours = graph.canonical_colours()
    rank = dict(zip(graph.vertices, colours, strict=True))
    extra_states = sorted(range(1, recipe.num_states), key=lambda i: rank[f"h_prev_{i}"])
    renamed = {"x": "x"}
    for new, old in enumerate([0, *extra_states]):
        renamed[f"h_prev_{old}"] = f"h_prev_{new}"
        renamed[f"h_new_{old}"] = f"h_new_{new}"
    by_rank = sorted(recipe.nodes, key=rank.__getitem__)
    order = topological_order({name: recipe.nodes[name] for name in by_rank})
    inner = [name for name in order if name not in renamed]
    renamed |= {name: f"n{i}" for i, name in enumerate(inner)}
    nodes = {}
    for name in order:
        op, inputs = recipe.nodes[name].op, recipe.nodes[name].input
        if op in COMMUTATIVE:
            inputs = tuple(sorted(inputs, key=rank.__getitem__))
        nodes[renamed[name]] = Node(op=op, input=tuple(renamed[source] for source in inputs))
    return Recipe(nodes)


class _Graph:
    """A recipe as a vertex-coloured, edge-labelled graph."""

    def __init__(self, recipe: Recipe) -> None:
        self.vertices = [*recipe.sources, *recipe.nodes]
        index = {name: i for i, name in enumerate(self.vertices)}
        n = len(self.vertices)
        # Neighbours with a label: an input's position where it matters, 0 where it does not; the
        # pair of a new state and its previous one is tied by -1, so that they keep together.
        self.inputs: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        self.outputs: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        for name, node in recipe.nodes.items():
            for position, source in enumerate(node.input):
                label = 0 if node.op in COMMUTATIVE else position
                self.inputs[index[name]].append((label, index[source]))
                self.outputs[index[source]].append((label, index[name]))
        for i in range(recipe.num_states):
            self.inputs[index[f"h_prev_{i}"]].append((-1, index[f"h_new_{i}"]))
            self.outputs[index[f"h_new_{i}"]].append((-1, index[f"h_prev_{i}"]))
        kinds = [self._kind(recipe, name) for name in self.vertices]
        self.kinds = [sorted(set(kinds)).index(kind) for kind in kinds]
        self._recipe_kinds = kinds

    @staticmethod
    def _kind(recipe: Recipe, name: str) -> tuple[str, int]:
        """What a vertex is, whatever its name: the first state differs from the others."""
        role = 0
        if name in recipe.nodes:
            if name in {f"h_new_{i}" for i in range(recipe.num_states)}:
                role = 1 if name == "h_new_0" else 2
            return recipe.nodes[name].op, role
        return ("", 0) if name == "x" else ("", 1 if name == "h_prev_0" else 2)

    def canonical_colours(self) -> Colours:
        """A distinct colour for every vertex, the same for all isomorphic graphs."""
        return self._search(self._refine(tuple(self.kinds)))[1]

    def _search(self, colours: Colours) -> tuple[Certificate, Colours]:
        cell = _first_cell(colours)
        if not cell:
            return self._certificate(colours), colours
        best: tuple[Certificate, Colours] | None = None
        explored: set[Certificate] = set()
        for vertex in cell:
            refined = self._refine(_single_out(colours, vertex))
            # Equal certificates prove an automorphism between the vertices: one of them will do.
            certificate = self._certificate(self._complete(refined))
            if certificate in explored:
                continue
            explored.add(certificate)
            found = self._search(refined)
            if best is None or found[0] < best[0]:
                best = found
        assert best is not None
        return best

    def _complete(self, colours: Colours) -> Colours:
        while cell := _first_cell(colours):
            colours = self._refine(_single_out(colours, cell[0]))
        return colours

    def _refine(self, colours: Colours) -> Colours:
        while True:
            views = [
                (
                    colours[v],
                    sorted((label, colours[u]) for label, u in self.inputs[v]),
                    sorted((label, colours[u]) for label, u in self.outputs[v]),
                )
                for v in range(len(colours))
            ]
            order = sorted(range(len(colours)), key=views.__getitem__)
            refined = [0] * len(colours)
            for before, after in pairwise(order):
                refined[after] = refined[before] + (views[before] != views[after])
            if len(set(refined)) == len(set(colours)):
                return tuple(refined)
            colours = tuple(refined)

    def _certificate(self, colours: Colours) -> Certificate:
        """The whole graph written with colours in place of names."""
        return tuple(
            (
                colours[v],
                self._recipe_kinds[v],
                tuple(sorted((label, colours[u]) for label, u in self.inputs[v])),
            )
            for v in sorted(range(len(colours)), key=colours.__getitem__)
        )


def _first_cell(colours: Colours) -> list[int]:
    """The vertices of the smallest colour that several share; none where all differ."""
    shared = [colour for colour, count in Counter(colours).items() if count > 1]
    return [v for v, colour in enumerate(colours) if colour == min(shared)] if shared else []


def _single_out(colours: Colours, vertex: int) -> Colours:
    """One vertex before all others of its colour."""
    return tuple(2 * colour + (v != vertex) for v, colour in enumerate(colours))
