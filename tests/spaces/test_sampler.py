"""The published distribution of recipes, and recipes from genes."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import networkx as nx
import optuna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from archscout.errors import InputError
from archscout.spaces.recurrent import Node, Recipe, sampler
from archscout.spaces.recurrent.canonical import fingerprint
from archscout.spaces.recurrent.sampler import default_steps, sample, suggest

ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
STEP_OPS = ("linear", "blend", "elementwise_prod", "elementwise_sum")


def new_states(recipe: Recipe) -> list[str]:
    return [f"h_new_{i}" for i in range(recipe.num_states)]


def unused_sources(recipe: Recipe) -> set[str]:
    used = {source for node in recipe.nodes.values() for source in node.input}
    return {"x", *(f"h_prev_{i}" for i in range(recipe.num_states))} - used


def directly_fed_states(recipe: Recipe) -> list[str]:
    return [
        name
        for name in new_states(recipe)
        if any(source.startswith("h_prev_") for source in recipe.nodes[name].input)
    ]


def unreached(recipe: Recipe) -> set[str]:
    """Nodes that lead to no new state."""
    edges = [(source, name) for name, node in recipe.nodes.items() for source in node.input]
    graph = nx.DiGraph(edges)
    leading = set(new_states(recipe))
    for name in new_states(recipe):
        leading |= nx.ancestors(graph, name)
    return set(recipe.nodes) - leading


def ill_fed(nodes: Mapping[str, Node]) -> Iterator[str]:
    """Nodes whose inputs the published grammar does not allow."""
    for name, node in nodes.items():
        sources = [s for s in node.input if s == "x" or s.startswith("h_prev_")]
        inner = [nodes[s].op for s in node.input if s not in sources]
        if node.op == "linear":
            fits = len(node.input) in (2, 3) and all(op in ACTIVATIONS for op in inner)
        elif node.op in ACTIVATIONS:
            fits = inner == ["linear"]
        else:
            fits = len(node.input) == (3 if node.op == "blend" else 2) and "x" not in sources
        if not fits or len(set(node.input)) < len(node.input):
            yield name


# The published sampler


def test_the_same_seed_gives_the_same_recipes() -> None:
    def draw(seed: int) -> list[Recipe]:
        rng = random.Random(seed)
        return [sample(rng) for _ in range(20)]

    assert draw(3) == draw(3)
    assert not set(draw(3)) & set(draw(4))


@pytest.mark.parametrize("states", [None, 1, 2, 3])
@pytest.mark.parametrize("steps", [None, 1, 2, 3, 5, 8, 12])
def test_samples_keep_every_published_condition(states: int | None, steps: int | None) -> None:
    if states and steps and steps < states:
        return
    rng = random.Random(0)
    for _ in range(40):
        recipe = sample(rng, states, steps)
        assert recipe.num_states == states or (states is None and 1 <= recipe.num_states <= 3)
        assert not list(ill_fed(recipe.nodes)), recipe
        assert not unused_sources(recipe), recipe
        assert not directly_fed_states(recipe), recipe
        assert not unreached(recipe), recipe
        assert len(recipe.nodes) <= 24
        assert recipe.order == tuple(recipe.nodes)
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_cells_with_one_two_and_three_states_are_drawn() -> None:
    rng = random.Random(0)
    assert {sample(rng).num_states for _ in range(200)} == {1, 2, 3}


def test_few_steps_leave_room_for_few_states_only() -> None:
    rng = random.Random(0)
    assert {sample(rng, steps=1).num_states for _ in range(30)} == {1}
    assert {sample(rng, steps=2).num_states for _ in range(30)} == {1, 2}


def test_more_steps_give_larger_recipes() -> None:
    rng = random.Random(0)
    means = [sum(len(sample(rng, 1, n).nodes) for _ in range(200)) / 200 for n in (1, 4, 8, 12)]
    assert means == sorted(means)
    assert means[-1] > 2 * means[0]


def test_samples_differ() -> None:
    rng = random.Random(0)
    assert len({fingerprint(sample(rng)) for _ in range(300)}) > 200


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Node], list[str]]]:
    """The nodes and new states of everything that is drawn, before pruning and rejection."""
    seen: list[tuple[dict[str, Node], list[str]]] = []
    prune = sampler._Draft.drop_unreached

    def look_and_prune(draft: sampler._Draft) -> None:
        seen.append((dict(draft.nodes), list(draft.outputs)))
        prune(draft)

    monkeypatch.setattr(sampler._Draft, "drop_unreached", look_and_prune)
    return seen


def is_drawn_as(counts: Mapping[str, int], weights: Mapping[str, int]) -> bool:
    """Whether counts are within the bounds of chance (always or never, for seeds are fixed)."""
    assert set(counts) == set(weights)
    total = sum(counts.values()) / sum(weights.values())
    expected = [weights[name] * total for name in weights]
    return bool(chisquare([counts[name] for name in weights], expected).pvalue > 1e-3)


def test_the_drawn_frequencies_are_the_published_ones(
    drafts: list[tuple[dict[str, Node], list[str]]],
) -> None:
    rng = random.Random(0)
    # With three states every step can be done from the start, so that none is replaced.
    while len(drafts) < 4000:
        sample(rng, states=3)
    nodes = [node for draft, _ in drafts for node in draft.values()]
    steps = Counter(node.op for node in nodes if node.op in STEP_OPS)
    assert is_drawn_as(steps, dict(zip(STEP_OPS, (3, 1, 1, 1), strict=True)))
    activations = Counter(node.op for node in nodes if node.op in ACTIVATIONS)
    assert activations.total() == steps["linear"]
    assert is_drawn_as(activations, dict.fromkeys(ACTIVATIONS, 1))
    arities = Counter(str(len(node.input)) for node in nodes if node.op == "linear")
    assert is_drawn_as(arities, {"2": 4, "3": 1})
    linear_first = [next(iter(draft.values())) for draft, _ in drafts]
    sources = Counter(
        name for node in linear_first if node.op == "linear" for name in node.input[:1]
    )
    assert is_drawn_as(sources, dict.fromkeys(("x", "h_prev_0", "h_prev_1", "h_prev_2"), 1))


def test_blends_products_and_sums_take_states_and_any_earlier_nodes_alike(
    drafts: list[tuple[dict[str, Node], list[str]]],
) -> None:
    rng = random.Random(0)
    while len(drafts) < 3000:
        sample(rng, states=2)
    # After a linear node and its activation, there are two states and two nodes to choose from.
    pool = ("h_prev_0", "h_prev_1", "node_0", "node_1")
    first_inputs = Counter(
        draft["node_2"].input[0]
        for draft, _ in drafts
        if draft["node_0"].op == "linear" and draft["node_2"].op in STEP_OPS[1:]
    )
    assert first_inputs.total() > 500
    assert is_drawn_as(first_inputs, dict.fromkeys(pool, 1))


def test_any_node_is_as_likely_to_become_a_new_state(
    drafts: list[tuple[dict[str, Node], list[str]]],
) -> None:
    rng = random.Random(0)
    while len(drafts) < 3000:
        sample(rng, states=1, steps=4)
    of_eight = [(list(nodes).index(output), len(nodes)) for nodes, (output,) in drafts]
    for size in {size for _, size in of_eight}:
        places = Counter(str(place) for place, other in of_eight if other == size)
        if places.total() > 300:
            assert is_drawn_as(places, {str(place): 1 for place in range(size)})


@pytest.mark.parametrize(("states", "published"), [(1, 7), (2, 8), (3, 8)])
def test_one_state_is_grown_in_seven_steps_and_more_in_eight(
    drafts: list[tuple[dict[str, Node], list[str]]], states: int, published: int
) -> None:
    rng = random.Random(0)
    for _ in range(20):
        sample(rng, states)
    steps = {sum(node.op in STEP_OPS for node in nodes.values()) for nodes, _ in drafts}
    assert steps == {published}
    assert default_steps(states) == published
    drafts.clear()
    sample(rng, states, 11)
    assert {sum(node.op in STEP_OPS for node in nodes.values()) for nodes, _ in drafts} == {11}


@pytest.mark.parametrize("states", [-1, 0, 4])
def test_a_number_of_states_out_of_range_is_refused(states: int) -> None:
    with pytest.raises(InputError, match=rf"states is {states}; from 1 to 3"):
        sample(random.Random(0), states)


@pytest.mark.parametrize("steps", [-1, 0, 13])
def test_a_number_of_steps_out_of_range_is_refused(steps: int) -> None:
    with pytest.raises(InputError, match=rf"steps is {steps}; from 1 to 12"):
        sample(random.Random(0), steps=steps)


@pytest.mark.parametrize(("states", "steps"), [(2, 1), (3, 1), (3, 2)])
def test_fewer_steps_than_states_are_refused(states: int, steps: int) -> None:
    with pytest.raises(InputError, match=rf"steps is {steps}; {states} hidden states"):
        sample(random.Random(0), states, steps)


# Recipes from genes


class Genes:
    """Answers that a search might give, by name; what is not set is the lowest."""

    def __init__(self, genes: Mapping[str, float] | None = None) -> None:
        self.genes = genes or {}
        self.asked: dict[str, tuple[float, float]] = {}

    def suggest_int(self, name: str, low: int, high: int) -> int:
        value = self.suggest_float(name, low, high)
        assert int(value) == value
        return int(value)

    def suggest_float(self, name: str, low: float, high: float) -> float:
        value = self.genes.get(name, low)
        assert low <= value <= high
        assert name not in self.asked
        self.asked[name] = (low, high)
        return value

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        raise AssertionError(f"{name} is drawn from {choices}")


def genes_of(states: int, steps: Sequence[float], outputs: float) -> dict[str, float]:
    return {
        "states": states,
        **{f"step_{i}": number for i, number in enumerate(steps)},
        "outputs": outputs,
    }


def random_genes(rng: random.Random, steps: int) -> dict[str, float]:
    return genes_of(rng.randint(1, 3), [rng.random() for _ in range(steps)], rng.random())


def check(recipe: Recipe, states: int) -> None:
    assert recipe.num_states == states
    assert not unused_sources(recipe), recipe
    assert not unreached(recipe), recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    for node in recipe.nodes.values():
        assert node.op != "linear" or len(node.input) in (2, 3), recipe
        assert len(set(node.input)) == len(node.input), recipe


# The borders between the operations are borders between the recipes' first choices.
numbers = st.sampled_from([0.0, 1.0, 1 - 2**-53, 2**-1074, *(16 * i / 98 for i in range(1, 7))])
numbers |= st.floats(0, 1)


@given(st.integers(1, 3), st.lists(numbers, min_size=1, max_size=12), numbers)
@example(3, [1.0], 1.0)
@example(3, [0.0], 0.0)
@settings(deadline=None, max_examples=200)
def test_every_setting_of_the_genes_gives_a_valid_recipe(
    states: int, steps: list[float], outputs: float
) -> None:
    genes = genes_of(states, steps, outputs)
    recipe = suggest(Genes(genes), len(steps))
    check(recipe, states)
    assert suggest(Genes(genes), len(steps)) == recipe


@pytest.mark.parametrize("number", [i / 12 for i in range(13)])
def test_genes_that_are_all_alike_give_valid_recipes(number: float) -> None:
    for states in (1, 2, 3):
        for steps in range(1, 13):
            check(suggest(Genes(genes_of(states, [number] * steps, number)), steps), states)


def test_a_search_is_asked_for_the_states_a_number_each_step_and_the_outputs() -> None:
    trial = Genes()
    suggest(trial, 3)
    assert trial.asked == {
        "states": (1, 3),
        "step_0": (0.0, 1.0),
        "step_1": (0.0, 1.0),
        "step_2": (0.0, 1.0),
        "outputs": (0.0, 1.0),
    }


def test_a_given_number_of_states_is_no_gene() -> None:
    for states in (1, 2, 3):
        trial = Genes()
        assert suggest(trial, 5, states).num_states == states
        assert "states" not in trial.asked


def test_a_number_leads_to_each_operation_as_often_as_it_is_drawn(
    drafts: list[tuple[dict[str, Node], list[str]]],
) -> None:
    for i in range(98):
        suggest(Genes(genes_of(3, [(i + 0.5) / 98], 0.0)), 1)
    first_steps = Counter(
        nodes["node_1"].op if nodes["node_0"].op == "linear" else nodes["node_0"].op
        for nodes, _ in drafts
    )
    # And once each the two steps that the published sampler does not take.
    beyond = Counter([ACTIVATIONS[0], ACTIVATIONS[1]])
    assert first_steps == Counter(dict.fromkeys((*ACTIVATIONS, *STEP_OPS[1:]), 16)) + beyond


def test_every_gene_has_a_say() -> None:
    rng = random.Random(0)
    changed: Counter[str] = Counter()
    for _ in range(200):
        genes = random_genes(rng, 4)
        recipe = suggest(Genes(genes), 4)
        for name, value in genes.items():
            other = value % 3 + 1 if name == "states" else rng.random()
            changed[name] += suggest(Genes(genes | {name: other}), 4) != recipe
    assert set(changed) == {"states", "step_0", "step_1", "step_2", "step_3", "outputs"}
    assert min(changed.values()) > 50


def test_near_numbers_make_the_same_first_choices() -> None:
    rng = random.Random(0)
    same = 0
    for _ in range(200):
        genes = random_genes(rng, 8)
        name = rng.choice([name for name in genes if name != "states"])
        near = genes | {name: min(1.0, genes[name] + 1e-6)}
        same += suggest(Genes(near), 8) == suggest(Genes(genes), 8)
    assert same > 190


def test_optuna_draws_varied_recipes() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggested = [suggest(study.ask(), 8) for _ in range(150)]
    assert {recipe.num_states for recipe in suggested} == {1, 2, 3}
    assert len({fingerprint(recipe) for recipe in suggested}) > 100


@pytest.mark.parametrize(
    ("states", "steps", "named"),
    [(0, 8, "states"), (-1, 8, "states"), (4, 8, "states"), (1, 0, "steps"), (1, 13, "steps")],
)
def test_suggest_refuses_states_and_steps_out_of_range(states: int, steps: int, named: str) -> None:
    with pytest.raises(InputError, match=f"{named} is"):
        suggest(Genes(), steps, states)
