"""Layered layout of a directed acyclic graph: where its vertices stand and how its edges run.

After Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
structures": layers by longest path, order within layers by barycentre, positions by least
squares. An edge that crosses layers gets a bend in each of them, so that no edge runs through a
vertex.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import networkx as nx
import numpy as np
from scipy.optimize import isotonic_regression

# A vertex by its name, or the bend of an edge (by its number) in a layer.
Place = str | tuple[int, int]
Columns = list[list[Place]]
Links = list[tuple[Place, Place]]
# Of each place, those in the layer before and those in the layer after.
Neighbours = tuple[dict[Place, list[Place]], dict[Place, list[Place]]]

_SWEEPS = 24  # of ordering
_SETTLING = 80  # sweeps of alignment
_SPACE = 18.0  # between neighbours of a layer
_BEND = 6.0  # height that a bend takes
_NEAREST, _FARTHEST = 46.0, 110.0  # between layers
_STUB = 10.0  # level end of an edge before its target's layer: room for the head of an arrow


@dataclass(frozen=True)
class Vertex:
    """Something to be placed, sizes in pixels."""

    name: str  # unique in the graph
    width: float
    height: float
    end: str = ""  # `first` or `last` for what stands in the first or the last layer


@dataclass(frozen=True)
class Layout:
    """A graph that has been laid out, layers from left to right.

    A route holds the points (x, y) that an edge passes, from the right side of its source to the
    left side of its target; the first stretch is level and so is every second.
    """

    layers: Mapping[str, int]  # by the vertex's name, as centres (x, y)
    centres: Mapping[str, tuple[float, float]]
    routes: Sequence[Sequence[tuple[float, float]]]
    width: float
    height: float


def arrange(vertices: Sequence[Vertex], edges: Sequence[tuple[str, str]]) -> Layout:
    """Lay out a graph from left to right: every edge leads to a later layer.

    An edge is a source and a target; the same pair may stand twice.
    """
    sizes = {vertex.name: vertex for vertex in vertices}
    layers = assign_layers(vertices, edges)
    chains = [_chain(i, edge, layers) for i, edge in enumerate(edges)]
    links = [link for chain in chains for link in pairwise(chain)]
    columns: Columns = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for place in dict.fromkeys([*layers, *(p for chain in chains for p in chain)]):
        columns[layers[place] if isinstance(place, str) else place[1]].append(place)
    columns = _order(columns, links)
    heights = {
        place: sizes[place].height if isinstance(place, str) else _BEND
        for column in columns
        for place in column
    }
    y = _align(columns, links, heights)
    left, right = _spread(columns, links, sizes, y)
    return Layout(
        layers=layers,
        centres={n: ((left[layer] + right[layer]) / 2, y[n]) for n, layer in layers.items()},
        routes=[_route(chain, layers, left, right, y, sizes) for chain in chains],
        width=right[-1],
        height=max((y[p] + heights[p] / 2 for p in heights), default=0.0),
    )


def assign_layers(vertices: Sequence[Vertex], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of each vertex: the longest path that leads to it, and the ends at the ends."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(vertex.name for vertex in vertices)
    graph.add_edges_from(edges)
    generations = enumerate(nx.topological_generations(graph))
    layers = {name: layer for layer, generation in generations for name in generation}
    firsts = [vertex.name for vertex in vertices if vertex.end == "first"]
    lasts = [vertex.name for vertex in vertices if vertex.end == "last"]
    inner = [layers[v.name] for v in vertices if v.end != "last"]
    layers |= dict.fromkeys(firsts, 0) | dict.fromkeys(lasts, max(inner, default=-1) + 1)
    return {vertex.name: layers[vertex.name] for vertex in vertices}


def count_crossings(links: Iterable[tuple[int, int]]) -> int:
    """Crossings between links, each from a position in one layer to a position in the next."""
    return sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(links, 2))


def _chain(number: int, edge: tuple[str, str], layers: Mapping[str, int]) -> list[Place]:
    """An edge's source, its bends, and its target."""
    source, target = edge
    between = range(layers[source] + 1, layers[target])
    return [source, *((number, layer) for layer in between), target]


def _order(columns: Columns, links: Links) -> Columns:
    """The order within each layer, by barycentre and by exchanging neighbours."""
    neighbours = _neighbours(links)
    best, fewest = columns, _all_crossings(columns, links)
    current = [list(column) for column in columns]
    for sweep in range(_SWEEPS):
        numbers = range(len(current))
        for i in numbers if sweep % 2 == 0 else reversed(numbers):
            current[i] = _by_barycentre(current, i, neighbours, earlier=sweep % 2 == 0)
        _exchange(current, neighbours)
        crossings = _all_crossings(current, links)
        if crossings < fewest:
            best, fewest = [list(column) for column in current], crossings
    return best


def _neighbours(links: Links) -> Neighbours:
    before: dict[Place, list[Place]] = defaultdict(list)
    after: dict[Place, list[Place]] = defaultdict(list)
    for source, target in links:
        before[target].append(source)
        after[source].append(target)
    return before, after


def _layers(columns: Columns) -> dict[Place, int]:
    return {place: i for i, column in enumerate(columns) for place in column}


def _all_crossings(columns: Columns, links: Links) -> int:
    position = {place: i for column in columns for i, place in enumerate(column)}
    layer = _layers(columns)
    between: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in links:
        between[layer[source]].append((position[source], position[target]))
    return sum(map(count_crossings, between.values()))


def _by_barycentre(
    columns: Columns, number: int, neighbours: Neighbours, earlier: bool
) -> list[Place]:
    """A layer sorted by the mean position of its neighbours on one side."""
    column = columns[number]
    beside = number - 1 if earlier else number + 1
    if not 0 <= beside < len(columns):
        return column
    position = {place: i for i, place in enumerate(columns[beside])}
    scale = len(columns[beside]) / max(1, len(column))
    wanted = {}
    for i, place in enumerate(column):
        found = [position[p] for p in neighbours[not earlier][place]]
        wanted[place] = sum(found) / len(found) if found else i * scale
    return sorted(column, key=wanted.__getitem__)


def _exchange(columns: Columns, neighbours: Neighbours) -> None:
    """Exchange neighbours within layers wherever that removes crossings."""
    for number, column in enumerate(columns):
        sides = [
            ({place: i for i, place in enumerate(columns[beside])}, around)
            for beside, around in zip((number - 1, number + 1), neighbours, strict=True)
            if 0 <= beside < len(columns)
        ]
        for i in range(len(column) - 1):
            first, second = column[i], column[i + 1]
            gain = sum(
                (position[p] > position[q]) - (position[p] < position[q])
                for position, around in sides
                for p, q in product(around[first], around[second])
            )
            if gain > 0:
                column[i], column[i + 1] = second, first


def _align(columns: Columns, links: Links, heights: Mapping[Place, float]) -> dict[Place, float]:
    """Heights y at which links are as level as the order and the sizes allow.

    Layer by layer, the sum of squared height differences along the links is minimised, neighbours
    keeping their distance: after shifting by the distances, an isotonic regression.
    """
    distances = [_distances(column, heights) for column in columns]
    y: dict[Place, float] = {}
    for column, down in zip(columns, distances, strict=True):
        y |= {p: d - down[-1] / 2 for p, d in zip(column, down.tolist(), strict=True)}
    around: dict[Place, list[tuple[Place, float]]] = defaultdict(list)
    for source, target in links:
        bends = isinstance(source, tuple) + isinstance(target, tuple)
        weight = (1.0, 2.0, 8.0)[bends]  # long edges shall be straight
        around[source].append((target, weight))
        around[target].append((source, weight))
    for sweep in range(_SETTLING):
        numbers = range(len(columns))
        for i in numbers if sweep % 2 else reversed(numbers):
            column = columns[i]
            if not column:
                continue
            pulls = [sum(w for _, w in around[p]) for p in column]
            weights = np.array([pull or 0.1 for pull in pulls])
            wanted = np.array(
                [
                    sum(w * y[q] for q, w in around[p]) / pull if pull else y[p]
                    for p, pull in zip(column, pulls, strict=True)
                ]
            )
            level = isotonic_regression(wanted - distances[i], weights=weights).x + distances[i]
            y |= dict(zip(column, level.tolist(), strict=True))
    top = min((y[p] - heights[p] / 2 for p in y), default=0.0)
    return {place: value - top for place, value in y.items()}


def _distances(column: Sequence[Place], heights: Mapping[Place, float]) -> np.ndarray:
    """How far below the first each of a layer must stand at least."""
    steps = [(heights[p] + heights[q]) / 2 + _SPACE for p, q in pairwise(column)]
    return np.concatenate([[0.0], np.cumsum(steps)])


def _spread(
    columns: Columns, links: Links, sizes: Mapping[str, Vertex], y: Mapping[Place, float]
) -> tuple[list[float], list[float]]:
    """Left and right sides of the layers; steep links are given more room."""
    layer = _layers(columns)
    steepest = [0.0] * len(columns)
    for source, target in links:
        rise = abs(y[source] - y[target])
        steepest[layer[target]] = max(steepest[layer[target]], rise)
    left: list[float] = []
    right: list[float] = []
    for i, column in enumerate(columns):
        room = min(_FARTHEST, max(_NEAREST, 0.45 * steepest[i]))
        left.append(right[-1] + room if right else 0.0)
        widths = [sizes[place].width for place in column if isinstance(place, str)]
        right.append(left[-1] + max(widths, default=0.0))
    return left, right


def _route(
    chain: Sequence[Place],
    layers: Mapping[str, int],
    left: Sequence[float],
    right: Sequence[float],
    y: Mapping[Place, float],
    sizes: Mapping[str, Vertex],
) -> list[tuple[float, float]]:
    """The points of an edge, the odd stretches between them being level."""
    source, target = str(chain[0]), str(chain[-1])
    first, last = layers[source], layers[target]
    start = (left[first] + right[first] + sizes[source].width) / 2
    end = (left[last] + right[last] - sizes[target].width) / 2
    points = [(start, y[source]), (right[first], y[source])]
    for place in chain:
        if isinstance(place, tuple):
            points += [(left[place[1]], y[place]), (right[place[1]], y[place])]
    return [*points, (left[last] - _STUB, y[target]), (end, y[target])]
