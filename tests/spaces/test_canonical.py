"""One form, and one fingerprint, for all ways of writing a recipe."""

import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import DiGraphMatcher

from archscout.errors import InputError
from archscout.spaces.recurrent import CELLS, Node, Recipe
from archscout.spaces.recurrent.canonical import canonical, fingerprint
from archscout.spaces.recurrent.language_model import RecurrentLayer, Wiring
from archscout.spaces.recurrent.sampler import sample

Rewrite = Callable[..., Recipe]

recipes = st.builds(
    lambda seed, states, steps: sample(random.Random(seed), states, max(states, steps)),
    st.integers(0, 2**32),
    st.integers(1, 3),
    st.integers(1, 12),
)
randoms = st.randoms(use_true_random=False)
quickly = settings(deadline=None, max_examples=40)

# An independent opinion: networkx on a graph whose vertices carry the operation and the role of
# their state, whose edges carry the places of an input where they matter, and in which every new
# state is tied to its previous one.


def as_graph(recipe: Recipe) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("x", kind="x")
    for i in range(recipe.num_states):
        graph.add_node(f"h_prev_{i}", kind=f"previous {min(i, 1)}")
    new_states = {f"h_new_{i}" for i in range(recipe.num_states)}
    for name, node in recipe.nodes.items():
        role = "first new" if name == "h_new_0" else "new" if name in new_states else "inner"
        graph.add_node(name, kind=f"{node.op} {role}")
        for source in node.input:
            places = [i for i, other in enumerate(node.input) if other == source]
            label = str(places if node.op == "blend" else len(places))
            graph.add_edge(source, name, label=label)
    for i in range(recipe.num_states):
        graph.add_edge(f"h_new_{i}", f"h_prev_{i}", label="becomes")
    return graph


def matcher(a: Recipe, b: Recipe) -> DiGraphMatcher:
    return DiGraphMatcher(
        as_graph(a),
        as_graph(b),
        node_match=lambda u, v: u["kind"] == v["kind"],
        edge_match=lambda u, v: u["label"] == v["label"],
    )


def isomorphic(a: Recipe, b: Recipe) -> bool:
    return bool(matcher(a, b).is_isomorphic())


def with_node(recipe: Recipe, name: str, op: str, inputs: Iterable[str]) -> Recipe:
    return Recipe(recipe.nodes | {name: Node(op=op, input=tuple(inputs))})


# What does not count


@pytest.mark.parametrize("change", ["names", "order", "inputs", "states"])
@given(recipe=recipes, rng=randoms)
@quickly
def test_what_does_not_change_the_architecture_does_not_change_its_form(
    rewritten: Rewrite, change: str, recipe: Recipe, rng: random.Random
) -> None:
    unchanged = dict.fromkeys(("names", "order", "inputs", "states"), False)
    other = rewritten(recipe, rng, **unchanged | {change: True})
    assert canonical(other) == canonical(recipe)
    assert fingerprint(other) == fingerprint(recipe)


@given(recipe=recipes, rng=randoms)
@quickly
def test_all_ways_of_writing_a_recipe_have_one_form(
    rewritten: Rewrite, recipe: Recipe, rng: random.Random
) -> None:
    other = rewritten(recipe, rng)
    assert canonical(other) == canonical(recipe)
    assert fingerprint(other) == fingerprint(recipe)


@pytest.mark.parametrize("name", CELLS)
def test_classical_cells_are_recognised_however_they_are_written(
    rewritten: Rewrite, name: str
) -> None:
    rng = random.Random(0)
    written = {rewritten(CELLS[name], rng) for _ in range(50)}
    assert len(written) > 5
    assert {fingerprint(recipe) for recipe in written} == {fingerprint(CELLS[name])}


def test_the_numbering_of_the_extra_states_does_not_count() -> None:
    def cell(second: str, third: str) -> Recipe:
        return Recipe.from_json(
            {
                "a": {"op": "linear", "input": ["x", "h_prev_0"]},
                "h_new_0": {"op": "activation_tanh", "input": ["a"]},
                f"h_new_{second}": {"op": "activation_sigm", "input": ["a"]},
                "b": {"op": "linear", "input": ["x", f"h_prev_{second}"]},
                f"h_new_{third}": {"op": "elementwise_prod", "input": ["b", f"h_prev_{third}"]},
            }
        )

    assert fingerprint(cell("1", "2")) == fingerprint(cell("2", "1"))
    assert canonical(cell("1", "2")) == canonical(cell("2", "1"))


def test_a_new_state_and_its_previous_one_are_renumbered_together() -> None:
    nodes = {
        "a": Node(op="linear", input=("x", "h_prev_0", "h_prev_1", "h_prev_2")),
        "h_new_0": Node(op="activation_tanh", input=("a",)),
        "b": Node(op="linear", input=("x", "h_prev_1")),
        "h_new_1": Node(op="activation_sigm", input=("b",)),
        "h_new_2": Node(op="activation_tanh", input=("b",)),
    }
    only_new = nodes | {"h_new_1": nodes["h_new_2"], "h_new_2": nodes["h_new_1"]}
    assert not isomorphic(Recipe(nodes), Recipe(only_new))
    assert fingerprint(Recipe(nodes)) != fingerprint(Recipe(only_new))


# The form


@given(recipes)
@quickly
def test_the_canonical_form_of_a_canonical_form_is_itself(recipe: Recipe) -> None:
    form = canonical(recipe)
    assert canonical(Recipe(dict(form.nodes))) == form
    assert fingerprint(form) == fingerprint(recipe)


@given(recipe=recipes, rng=randoms)
@quickly
def test_the_canonical_form_is_plain_and_computable_as_it_stands(
    rewritten: Rewrite, recipe: Recipe, rng: random.Random
) -> None:
    form = canonical(rewritten(recipe, rng))
    assert form.order == tuple(form.nodes)
    inner = [name for name in form.nodes if not name.startswith("h_new_")]
    assert inner == [f"n{i}" for i in range(len(inner))]
    assert len(form.nodes) == len(recipe.nodes)
    assert form.num_states == recipe.num_states
    assert Recipe.from_json(form.to_json()) == form


@given(recipe=recipes, rng=randoms)
@settings(deadline=None, max_examples=20)
def test_the_canonical_form_computes_the_same_function(
    rewritten: Rewrite, recipe: Recipe, rng: random.Random
) -> None:
    recipe = rewritten(recipe, rng)
    form = canonical(recipe)
    match = matcher(recipe, form)
    assert match.is_isomorphic()
    to_form: dict[str, str] = match.mapping
    generator = torch.Generator().manual_seed(0)
    before = RecurrentLayer(Wiring(recipe.to_dict()), 3, 4).double()
    after = RecurrentLayer(Wiring(form.to_dict()), 3, 4).double()
    for name, node in before.linear.items():
        twin = after.linear[to_form[name]]
        twin.bias.data = node.bias.data.normal_(generator=generator)
        # Of a source that is listed twice, either weight may take either place.
        places = defaultdict(list)
        for i, source in enumerate(twin.inputs):
            places[source].append(i)
        for weight, source in zip(node.weights, node.inputs, strict=True):
            twin.weights[places[to_form[source]].pop()].data = weight.data.normal_(
                generator=generator
            )
    # Few steps: some cells multiply their states by themselves, and overflow soon.
    inputs = torch.randn(3, 2, 3, generator=generator, dtype=torch.double)
    states = torch.randn(recipe.num_states, 2, 4, generator=generator, dtype=torch.double)
    moved = [int(to_form[f"h_prev_{i}"][7:]) for i in range(recipe.num_states)]
    outputs, last = before(inputs, tuple(states))
    outputs_of_form, last_of_form = after(
        inputs, tuple(states[moved.index(i)] for i in range(len(moved)))
    )
    torch.testing.assert_close(outputs_of_form, outputs, equal_nan=True)
    for i, state in enumerate(last):
        torch.testing.assert_close(last_of_form[moved[i]], state, equal_nan=True)


def test_a_fingerprint_is_sixteen_hexadecimal_digits() -> None:
    for cell in CELLS.values():
        assert len(fingerprint(cell)) == 16
        assert set(fingerprint(cell)) <= set("0123456789abcdef")


def test_fingerprints_stay_what_they_were() -> None:
    # Stored runs hold them.
    assert {name: fingerprint(cell) for name, cell in CELLS.items()} == {
        "rnn": "b9bf8451a0065ea0",
        "gru": "a463b35adf024e6f",
        "lstm": "3be11c62b3c6f3f3",
    }


# What counts


@given(recipe=recipes, rng=randoms)
@quickly
def test_another_operation_is_another_architecture(recipe: Recipe, rng: random.Random) -> None:
    alike = (
        ("activation_tanh", "activation_sigm", "activation_leaky_relu"),
        ("elementwise_prod", "elementwise_sum"),
    )
    changeable = [name for name, node in recipe.nodes.items() if node.op not in ("linear", "blend")]
    name = rng.choice(changeable)
    node = recipe.nodes[name]
    ops = next(ops for ops in alike if node.op in ops)
    other = with_node(recipe, name, rng.choice([op for op in ops if op != node.op]), node.input)
    assert fingerprint(other) != fingerprint(recipe)


def test_each_input_of_a_blend_has_its_own_place() -> None:
    gru = CELLS["gru"]
    orders = itertools.permutations(gru.nodes["h_new_0"].input)
    prints = {fingerprint(with_node(gru, "h_new_0", "blend", inputs)) for inputs in orders}
    assert len(prints) == 6


def test_the_first_state_is_not_like_the_others() -> None:
    lstm = CELLS["lstm"]
    swap = {"h_new_0": "h_new_1", "h_new_1": "h_new_0", "h_prev_0": "h_prev_1"}
    swap["h_prev_1"] = "h_prev_0"
    swapped = Recipe(
        {
            swap.get(name, name): Node(
                op=node.op, input=tuple(swap.get(source, source) for source in node.input)
            )
            for name, node in lstm.nodes.items()
        }
    )
    assert fingerprint(swapped) != fingerprint(lstm)


def test_how_often_a_source_is_listed_counts() -> None:
    once = Recipe.from_json({"h_new_0": {"op": "linear", "input": ["x", "h_prev_0"]}})
    twice = with_node(once, "h_new_0", "linear", ("x", "h_prev_0", "h_prev_0"))
    twice_x = with_node(once, "h_new_0", "linear", ("x", "x", "h_prev_0"))
    assert len({fingerprint(recipe) for recipe in (once, twice, twice_x)}) == 3


def variations(recipe: Recipe, rng: random.Random) -> Iterator[Recipe]:
    """Small changes of a recipe, many of which leave it as it is up to its writing."""
    for name, node in recipe.nodes.items():
        if node.op == "blend":
            for inputs in itertools.permutations(node.input):
                yield with_node(recipe, name, node.op, inputs)
        for place in range(len(node.input)):
            inputs = list(node.input)
            inputs[place] = rng.choice([*recipe.sources, *recipe.nodes])
            try:
                yield with_node(recipe, name, node.op, inputs)
            except InputError:
                continue
    for i in range(1, recipe.num_states):
        swap = {f"h_{age}_0": f"h_{age}_{i}" for age in ("new", "prev")}
        swap |= {new: old for old, new in swap.items()}
        nodes = {
            swap.get(name, name): Node(op=node.op, input=tuple(swap.get(s, s) for s in node.input))
            for name, node in recipe.nodes.items()
        }
        yield Recipe(nodes)


def compare(pairs: Iterable[tuple[Recipe, Recipe]]) -> Counter[bool]:
    """Check fingerprints against networkx; how many pairs were the same, and how many not."""
    verdicts: Counter[bool] = Counter()
    for a, b in pairs:
        same = isomorphic(a, b)
        assert (fingerprint(a) == fingerprint(b)) is same, f"{a}\n{b}"
        assert (canonical(a) == canonical(b)) is same, f"{a}\n{b}"
        verdicts[same] += 1
    return verdicts


def test_fingerprints_agree_with_networkx_on_small_changes(rewritten: Rewrite) -> None:
    rng = random.Random(0)
    samples = [sample(rng) for _ in range(80)]
    verdicts = compare(
        (recipe, rewritten(other, rng)) for recipe in samples for other in variations(recipe, rng)
    )
    assert verdicts[True] > 50
    assert verdicts[False] > 300


def test_fingerprints_agree_with_networkx_on_samples_of_the_same_operations(
    rewritten: Rewrite,
) -> None:
    rng = random.Random(0)
    groups = defaultdict(list)
    for _ in range(400):
        states = rng.randint(1, 2)
        recipe = sample(rng, states, rng.randint(states, 4))
        ops = sorted(node.op for node in recipe.nodes.values())
        groups[states, *ops].append(rewritten(recipe, rng))
    verdicts = compare(
        pair for group in groups.values() for pair in itertools.combinations(group[:12], 2)
    )
    assert verdicts[True] > 100
    assert verdicts[False] > 300


# Symmetric cells, which the neighbourhoods of their nodes cannot tell apart


def gates(count: int) -> dict[str, Node]:
    """Identical gates, `a0, a1, ...`."""
    nodes = {}
    for i in range(count):
        nodes[f"s{i}"] = Node(op="linear", input=("x", "h_prev_0"))
        nodes[f"a{i}"] = Node(op="activation_sigm", input=(f"s{i}",))
    return nodes


def joined(nodes: dict[str, Node], outputs: Iterable[str]) -> Recipe:
    together = {"all": Node(op="linear", input=tuple(outputs))}
    return Recipe(nodes | together | {"h_new_0": Node(op="activation_tanh", input=("all",))})


def of_products(graph: "nx.Graph[int]") -> Recipe:
    """A gate for every vertex, a product for every edge."""
    graph = nx.convert_node_labels_to_integers(graph)
    nodes = gates(len(graph))
    edges = {
        f"p{i}": Node(op="elementwise_prod", input=(f"a{u}", f"a{v}"))
        for i, (u, v) in enumerate(graph.edges)
    }
    return joined(nodes | edges, edges)


def of_blends(count: int, offsets: tuple[int, int]) -> Recipe:
    """Gates in a circle, and for each the blend of itself with two others of given distances."""
    blends = {
        f"b{i}": Node(op="blend", input=tuple(f"a{(i + d) % count}" for d in (0, *offsets)))
        for i in range(count)
    }
    return joined(gates(count) | blends, blends)


def copies(graph: "nx.Graph[int]", count: int) -> "nx.Graph[int]":
    return nx.disjoint_union_all([graph] * count)


GRAPHS = {
    "a hexagon": nx.cycle_graph(6),
    "two triangles": copies(nx.cycle_graph(3), 2),
    "a ring of nine": nx.cycle_graph(9),
    "a square and a pentagon": nx.disjoint_union(nx.cycle_graph(4), nx.cycle_graph(5)),
    "three triangles": copies(nx.cycle_graph(3), 3),
    "a cube": nx.hypercube_graph(3),
    "a square prism": nx.circular_ladder_graph(4),
    "a twisted ladder": nx.circulant_graph(8, [1, 4]),
    "two tetrahedra": copies(nx.complete_graph(4), 2),
    "Petersen's graph": nx.petersen_graph(),
    "a pentagonal prism": nx.circular_ladder_graph(5),
    "a twisted ladder of ten": nx.circulant_graph(10, [1, 5]),
}
BLENDS = {
    f"blends {a} {b}": of_blends(5, (a, b)) for a, b in itertools.permutations((1, 2, 3, 4), 2)
}
SYMMETRIC = {
    "two gates": joined(gates(2), ["a0", "a1"]),
    "six gates": joined(gates(6), [f"a{i}" for i in range(6)]),
    **{name: of_products(graph) for name, graph in GRAPHS.items()},
    **BLENDS,
}


@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_symmetric_cell_has_one_form(rewritten: Rewrite, name: str) -> None:
    rng = random.Random(0)
    written = [rewritten(SYMMETRIC[name], rng) for _ in range(5)]
    assert {canonical(recipe) for recipe in written} == {canonical(SYMMETRIC[name])}
    assert isomorphic(canonical(SYMMETRIC[name]), SYMMETRIC[name])


def test_cells_of_regular_graphs_are_told_apart_just_where_networkx_does() -> None:
    verdicts = Counter()
    for a, b in itertools.combinations(GRAPHS, 2):
        same = nx.is_isomorphic(GRAPHS[a], GRAPHS[b])
        assert (fingerprint(SYMMETRIC[a]) == fingerprint(SYMMETRIC[b])) is same, (a, b)
        verdicts[same] += 1
    assert verdicts[True] == 1  # a cube is a square prism
    assert fingerprint(SYMMETRIC["a hexagon"]) != fingerprint(SYMMETRIC["two triangles"])


def test_circles_of_blends_are_told_apart_just_where_networkx_does() -> None:
    verdicts = compare(itertools.combinations(BLENDS.values(), 2))
    assert verdicts[True] > 10  # all distances multiplied by 2, 3 or 4
    assert verdicts[False] > 10


def test_states_that_are_alike_can_be_exchanged(rewritten: Rewrite) -> None:
    nodes = {
        "a": Node(op="linear", input=("x", "h_prev_0", "h_prev_1", "h_prev_2")),
        "h_new_0": Node(op="activation_tanh", input=("a",)),
    }
    for i in (1, 2):
        nodes[f"b{i}"] = Node(op="linear", input=("x", f"h_prev_{i}"))
        nodes[f"h_new_{i}"] = Node(op="activation_sigm", input=(f"b{i}",))
    recipe = Recipe(nodes)
    crossed = Recipe(nodes | {f"b{i}": nodes[f"b{3 - i}"] for i in (1, 2)})
    rng = random.Random(0)
    for cell in (recipe, crossed):
        assert len({canonical(rewritten(cell, rng)) for _ in range(10)}) == 1
    assert not isomorphic(recipe, crossed)
    assert fingerprint(recipe) != fingerprint(crossed)


# Speed


def test_no_sample_takes_long() -> None:
    rng = random.Random(0)
    samples = [sample(rng, steps=rng.choice([None, 12])) for _ in range(2000)]
    seconds = []
    for recipe in samples:
        start = time.process_time()
        fingerprint(recipe)
        seconds.append(time.process_time() - start)
    # Half a millisecond each; the slowest includes the pauses of Python's garbage collector.
    assert max(seconds) < 1
    assert sum(seconds) < 10


def test_a_symmetric_cell_of_published_size_does_not_take_long() -> None:
    recipe = joined(gates(11), [f"a{i}" for i in range(11)])
    assert len(recipe.nodes) == 24
    start = time.process_time()
    fingerprint(recipe)
    assert time.process_time() - start < 1
