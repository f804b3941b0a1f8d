"""Layered layouts, and the drawings made of them."""

import random
import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.report.layout import Layout, Vertex, arrange, count_crossings
from archscout.report.recurrent import draw
from archscout.spaces.recurrent import CELLS, Node, Recipe, RecurrentSpace
from archscout.spaces.recurrent.sampler import sample

Edges = list[tuple[str, str]]

seeds = st.integers(0, 2**32 - 1)
recipes = st.builds(
    lambda seed, states, steps: sample(random.Random(seed), states, steps),
    seeds,
    st.integers(1, 3),
    st.integers(6, 12),
)


def random_graph(rng: random.Random) -> tuple[list[Vertex], Edges]:
    """A graph of up to 28 vertices with sources, results and edges that skip layers."""
    inner = [f"n{i}" for i in range(rng.randint(0, 24))]
    sources = [f"s{i}" for i in range(rng.randint(1, 4))]
    edges = []
    for i, name in enumerate(inner):
        pool = [*sources, *inner[:i]]
        edges += [(rng.choice(pool), name) for _ in range(rng.randint(1, 3))]
    results = [f"r{i}" for i in range(rng.randint(1, 3))]
    edges += [(rng.choice([*sources, *inner]), name) for name in results]
    vertices = [Vertex(name, rng.randint(20, 90), rng.randint(20, 50)) for name in inner]
    vertices += [Vertex(name, 60, 30, "first") for name in sources]
    vertices += [Vertex(name, 60, 30, "last") for name in results]
    rng.shuffle(vertices)
    rng.shuffle(edges)
    return vertices, edges


graphs = st.builds(lambda seed: random_graph(random.Random(seed)), seeds)


def boxes(vertices: list[Vertex], layout: Layout) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right and bottom of every vertex."""
    found = {}
    for vertex in vertices:
        x, y = layout.centres[vertex.name]
        found[vertex.name] = (
            x - vertex.width / 2,
            y - vertex.height / 2,
            x + vertex.width / 2,
            y + vertex.height / 2,
        )
    return found


@given(graphs)
@settings(deadline=None, max_examples=30)
def test_every_edge_leads_to_a_later_layer(graph: tuple[list[Vertex], Edges]) -> None:
    vertices, edges = graph
    layout = arrange(vertices, edges)
    assert layout.layers.keys() == {vertex.name for vertex in vertices} == layout.centres.keys()
    for source, target in edges:
        assert layout.layers[source] < layout.layers[target]
        assert layout.centres[source][0] < layout.centres[target][0]
    last = max(layout.layers.values())
    for vertex in vertices:
        if vertex.end == "first":
            assert layout.layers[vertex.name] == 0
        assert (layout.layers[vertex.name] == last) == (vertex.end == "last")


@given(graphs)
@settings(deadline=None, max_examples=30)
def test_vertices_lie_apart_and_inside(graph: tuple[list[Vertex], Edges]) -> None:
    vertices, edges = graph
    layout = arrange(vertices, edges)
    places = boxes(vertices, layout)
    for left, top, right, bottom in places.values():
        assert left >= -1e-6 and top >= -1e-6
        assert right <= layout.width + 1e-6 and bottom <= layout.height + 1e-6
    for a, b in combinations(places.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] + 1e-6 or b[3] <= a[1] + 1e-6


@given(graphs)
@settings(deadline=None, max_examples=30)
def test_routes_go_right_from_source_to_target_and_around_other_vertices(
    graph: tuple[list[Vertex], Edges],
) -> None:
    vertices, edges = graph
    layout = arrange(vertices, edges)
    places = boxes(vertices, layout)
    for edge, route in zip(edges, layout.routes, strict=True):
        source, target = edge
        assert route[0] == pytest.approx((places[source][2], layout.centres[source][1]))
        assert route[-1] == pytest.approx((places[target][0], layout.centres[target][1]))
        assert all(a[0] <= b[0] + 1e-6 for a, b in pairwise(route))
        for (x0, y0), (x1, y1) in list(pairwise(route))[::2]:
            assert y0 == y1
            for name, (left, top, right, bottom) in places.items():
                if name not in edge and x0 < right and left < x1:
                    assert not top < y0 < bottom


def test_a_path_is_drawn_as_a_level_line() -> None:
    vertices = [Vertex(name, 40, 20 + 10 * i) for i, name in enumerate("abcd")]
    layout = arrange(vertices, list(pairwise("abcd")))
    assert [layout.layers[name] for name in "abcd"] == [0, 1, 2, 3]
    assert len({round(y, 6) for _, y in layout.centres.values()}) == 1


def test_crossings_that_can_be_avoided_are() -> None:
    edges = [("a", "z"), ("b", "y"), ("c", "x"), ("x", "p"), ("y", "q"), ("z", "r")]
    layout = arrange([Vertex(name, 30, 30) for name in "abcxyzpqr"], edges)
    heights = [
        [(layout.centres[s][1], layout.centres[t][1]) for s, t in edges if layout.layers[s] == i]
        for i in (0, 1)
    ]
    for between in heights:
        for (a, b), (c, d) in combinations(between, 2):
            assert (a - c) * (b - d) > 0


def test_crossings_are_counted() -> None:
    assert count_crossings([(0, 1), (1, 0)]) == 1
    assert count_crossings([(0, 0), (0, 1), (1, 1)]) == 0
    assert count_crossings([(0, 2), (1, 1), (2, 0)]) == 3


# The recurrent cell


@given(recipes)
@settings(deadline=None, max_examples=30)
def test_all_nodes_and_inputs_of_a_recipe_are_drawn(recipe: Recipe) -> None:
    check_drawing(recipe)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_named_cells_are_drawn(name: str) -> None:
    check_drawing(CELLS[name])


def test_a_recipe_with_odd_names_and_a_node_used_twice_is_drawn() -> None:
    check_drawing(
        Recipe(
            {
                "<b>&\"'": Node(op="linear", input=("x", "h_prev_0")),
                "result 0": Node(op="elementwise_prod", input=("<b>&\"'", "<b>&\"'")),
                "h_new_0": Node(op="blend", input=("result 0", "result 0", "h_prev_0")),
            }
        )
    )


def check_drawing(recipe: Recipe) -> None:
    drawing = draw(recipe, RecurrentSpace.scales["fast"], 100)
    svg = ElementTree.fromstring(str(drawing.svg))
    drawn = {group.get("data-name") for group in svg.iter("g") if group.get("data-name")}
    assert {*recipe.nodes, *recipe.sources} <= drawn
    assert len(drawn) == len(recipe.nodes) + len(recipe.sources) + recipe.num_states
    labels = [text.text for text in svg.iter("text")]
    for i, mark in zip(range(recipe.num_states), "₀₁₂", strict=False):
        assert labels.count(f"h{mark} previous") == labels.count(f"h{mark} new") == 1, i
    arrows = [path for path in svg.iter("path") if path.get("class") == "arrow"]
    inputs = sum(len(node.input) for node in recipe.nodes.values())
    assert len(arrows) == inputs + recipe.num_states
    assert all("head)" in str(path.get("marker-end")) for path in arrows)
    blends = sum(node.op == "blend" for node in recipe.nodes.values())
    assert sum("stroke-dasharray" in path.attrib for path in arrows) == blends
    assert [labels.count(letter) for letter in ("g", "a", "b")] == [blends] * 3
    assert bool(drawing.marked) == bool(blends)
    used = {rect.get("fill") for rect in svg.iter("rect")}
    assert used == {kind.fill for kind in drawing.kinds}
    check_inside(svg)


def check_inside(svg: ElementTree.Element) -> None:
    """Everything lies in the picture."""
    _, _, width, height = map(float, str(svg.get("viewBox")).split())
    for path in svg.iter("path"):
        if path.get("class") == "arrow":
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", str(path.get("d")))]
            assert all(-12 <= x <= width - 12 for x in numbers[::2])
            assert all(-12 <= y <= height - 12 for y in numbers[1::2])
