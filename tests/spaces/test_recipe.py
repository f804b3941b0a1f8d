"""The rules of recipes, and recipes as JSON."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.spaces import RecurrentSpace
from archscout.spaces.recurrent import CELLS, Node, Recipe
from archscout.spaces.recurrent.sampler import sample

OPS = {
    "linear": None,
    "blend": 3,
    "elementwise_prod": 2,
    "elementwise_sum": 2,
    "activation_tanh": 1,
    "activation_sigm": 1,
    "activation_leaky_relu": 1,
}
recipes = st.integers(0, 2**32).map(lambda seed: sample(random.Random(seed)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
node_names = st.sampled_from(["h_new_0", "h_new_1", "h_new_2", "a", "b"])
input_names = node_names | st.sampled_from(["x", "h_prev_0", "h_prev_1", "h_prev_2"])
almost_recipes = st.dictionaries(
    node_names,
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["linear", "activation_tanh", "elementwise_sum"]),
            "input": st.lists(input_names, min_size=1, max_size=2),
        }
    ),
    min_size=1,
)


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


def linear(*inputs: str) -> dict[str, Any]:
    return node("linear", *inputs)


def elman(**more: object) -> dict[str, Any]:
    """A small valid recipe, with nodes added or replaced."""
    return {"sum": linear("x", "h_prev_0"), "h_new_0": node("activation_tanh", "sum"), **more}


def problem(document: Any) -> str:
    """The message with which a document is refused."""
    with pytest.raises(InputError) as refusal:
        Recipe.from_json(document)
    return str(refusal.value)


# Reading and writing


@given(recipes)
@settings(deadline=None, max_examples=50)
def test_a_recipe_survives_the_round_trip_through_json(recipe: Recipe) -> None:
    for document in (recipe.to_json(), recipe.to_json().encode(), recipe.to_dict()):
        read = Recipe.from_json(document)
        assert read == recipe
        assert hash(read) == hash(recipe)
        assert list(read.nodes) == list(recipe.nodes)
        assert read.order == recipe.order
        assert read.num_states == recipe.num_states
    assert "\n" not in recipe.to_json()
    assert json.loads(recipe.to_json()) == recipe.to_dict()


def test_names_and_order_of_the_file_survive_the_round_trip() -> None:
    document = {
        "h_new_0": node("activation_sigm", "süm of.all"),
        "süm of.all": linear("h_prev_0", "x", "h_prev_0"),
    }
    recipe = Recipe.from_json(json.dumps(document))
    assert list(recipe.to_dict().items()) == list(document.items())
    assert recipe.nodes["süm of.all"] == Node(op="linear", input=("h_prev_0", "x", "h_prev_0"))


@given(recipes)
@settings(deadline=None, max_examples=20)
def test_what_is_printed_makes_the_recipe_again(recipe: Recipe) -> None:
    assert Recipe.from_json(repr(recipe).removeprefix("Recipe(").removesuffix(")")) == recipe


def test_recipes_written_in_another_order_are_not_equal() -> None:
    forwards = Recipe.from_json(elman())
    backwards = Recipe.from_json(dict(reversed(elman().items())))
    assert forwards != backwards
    assert forwards != elman()
    assert len({forwards, backwards, Recipe.from_json(elman())}) == 2


def test_a_recipe_knows_its_states_and_sources() -> None:
    assert CELLS["rnn"].num_states == CELLS["gru"].num_states == 1
    assert CELLS["rnn"].sources == ("x", "h_prev_0")
    assert CELLS["lstm"].num_states == 2
    assert CELLS["lstm"].sources == ("x", "h_prev_0", "h_prev_1")
    three = Recipe.from_json({f"h_new_{i}": linear("x") for i in (2, 0, 1)})
    assert three.num_states == 3
    assert three.sources == ("x", "h_prev_0", "h_prev_1", "h_prev_2")


# The order of computation


def test_nodes_keep_the_order_of_the_file_and_the_order_of_computation_repairs_it() -> None:
    recipe = Recipe.from_json(
        {
            "h_new_0": node("elementwise_sum", "late", "early"),
            "late": node("activation_tanh", "middle"),
            "middle": linear("x", "early"),
            "early": node("activation_sigm", "first"),
            "first": linear("x", "h_prev_0"),
        }
    )
    assert list(recipe.nodes) == ["h_new_0", "late", "middle", "early", "first"]
    assert recipe.order == ("first", "early", "middle", "late", "h_new_0")


def test_the_order_of_computation_is_the_order_of_the_file_where_that_can_be_computed() -> None:
    document = elman(b=linear("x"), a=linear("x"), c=node("elementwise_prod", "b", "a"))
    assert Recipe.from_json(document).order == tuple(document)
    for cell in CELLS.values():
        assert cell.order == tuple(cell.nodes)


@given(recipes, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_every_node_is_computed_once_and_after_its_inputs(
    recipe: Recipe, rng: random.Random
) -> None:
    names = list(recipe.nodes)
    rng.shuffle(names)
    shuffled = Recipe({name: recipe.nodes[name] for name in names})
    assert list(shuffled.nodes) == names
    assert sorted(shuffled.order) == sorted(names)
    computed = set(shuffled.sources)
    for name in shuffled.order:
        assert computed.issuperset(shuffled.nodes[name].input)
        computed.add(name)


# Documents that are no recipes


@pytest.mark.parametrize("text", ["", "lstmm", '{"h_new_0": ', "{'h_new_0': 1}", "{} {}", b"\xff"])
def test_text_that_is_not_json_is_refused(text: str | bytes) -> None:
    assert "not valid JSON" in problem(text)


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ("[1, 2]", "[1, 2]"),
        ("null", "None"),
        ("3", "3"),
        ('"x"', "'x'"),
        ([{"op": "linear", "input": ["x"]}], "[{'op'"),
        (None, "None"),
    ],
)
def test_anything_but_an_object_is_refused_and_shown(document: Any, shown: str) -> None:
    message = problem(document)
    assert f"recipe is {shown}" in message
    assert 'expected an object {"node": {"op": ..., "input": [...]}, ...}' in message


def test_a_name_that_stands_twice_in_the_text_is_refused() -> None:
    text = '{"twin": %s, "h_new_0": %s, "twin": %s}' % ((json.dumps(linear("x")),) * 3)
    assert "'twin' stands twice" in problem(text)
    text = '{"h_new_0": {"op": "linear", "input": ["x"], "op": "linear"}}'
    assert "'op' stands twice" in problem(text)


@pytest.mark.parametrize(
    ("wrong", "place", "rule"),
    [
        ({**linear("x"), "weight": 1}, "'bad' 'weight'", "extra"),
        ({"op": 3, "input": ["x"]}, "'bad' 'op'", "string"),
        ({"op": None, "input": ["x"]}, "'bad' 'op'", "string"),
        ({"op": "linear", "input": "x"}, "'bad' 'input'", "array"),
        ({"op": "linear", "input": {"x": "x"}}, "'bad' 'input'", "array"),
        ({"op": "linear", "input": ["x", 0]}, "'bad' 'input' 1", "string"),
        ({"op": "linear", "input": [["x"]]}, "'bad' 'input' 0", "string"),
        ({"input": ["x"]}, "'bad' 'op'", "required"),
        ({"op": "linear"}, "'bad' 'input'", "required"),
        (["linear", "x"], "'bad'", "object"),
        ("linear", "'bad'", "object"),
        (None, "'bad'", "object"),
        (float("nan"), "'bad'", "object"),
    ],
)
def test_a_node_of_another_shape_is_refused_with_its_place(
    wrong: object, place: str, rule: str
) -> None:
    for document in (elman(bad=wrong), json.dumps(elman(bad=wrong))):
        message = problem(document)
        assert f"at {place}:" in message
        assert rule in message
        assert '{"op": <name>, "input": [<names>]}' in message


def test_what_json_cannot_hold_is_refused() -> None:
    assert "not plain JSON" in problem(elman(bad=object()))
    assert "not plain JSON" in problem({("h_new_0",): linear("x")})


def test_an_object_that_holds_itself_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["h_new_0"] = circle
    problem(circle)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    problem('{"h_new_0": ' + "1" * 5000 + "}")


@pytest.mark.parametrize("depth", [100, 300, 900, 100_000])
def test_deep_nesting_is_refused_and_does_not_crash(depth: int) -> None:
    problem("[" * depth + "]" * depth)
    problem('{"h_new_0": ' * depth + "1" + "}" * depth)
    nested = "[" * depth + "]" * depth
    problem('{"h_new_0": {"op": "linear", "input": ' + nested + "}}")
    objects: list[Any] = []
    for _ in range(depth):
        objects = [objects]
    problem({"h_new_0": objects})


def test_a_message_does_not_repeat_a_long_document() -> None:
    assert len(problem(list(range(10_000)))) < 300
    assert len(problem(elman(bad=["x"] * 10_000))) < 300
    assert len(problem(elman(bad=linear(*"[" * 300) | {"op": ["x"] * 10_000}))) < 300


@given(json_values)
@settings(deadline=None, max_examples=100)
def test_any_json_is_refused_in_one_clear_message(document: Any) -> None:
    assert "recipe" in problem(json.dumps(document))
    assert "recipe" in problem({"h_new_0": document})


@given(almost_recipes)
@settings(deadline=None, max_examples=200)
def test_whatever_is_accepted_can_be_computed(document: dict[str, Any]) -> None:
    try:
        recipe = Recipe.from_json(document)
    except InputError as refusal:
        assert "recipe" in str(refusal)
        return
    computed = {"x", *(f"h_prev_{i}" for i in range(recipe.num_states))}
    for name in recipe.order:
        assert computed.issuperset(document[name]["input"])
        computed.add(name)
    assert computed.issuperset(f"h_new_{i}" for i in range(recipe.num_states))


# Rules of names and states


def test_an_empty_recipe_is_refused() -> None:
    assert "h_new_0" in problem("{}")


@pytest.mark.parametrize("name", ["x", "h_prev_0", "h_prev_7", "h_prev_a", ""])
def test_names_of_sources_are_kept_for_sources(name: str) -> None:
    message = problem(elman() | {name: linear("x")})
    assert f"node {name!r}" in message
    assert "kept for a source" in message


def test_a_recipe_without_a_new_state_is_refused() -> None:
    message = problem({"sum": linear("x", "h_prev_0"), "new": node("activation_tanh", "sum")})
    assert "no new state" in message
    assert "h_new_0" in message


@pytest.mark.parametrize(("numbers", "named"), [((1,), "h_new_1"), ((2, 0), "h_new_0, h_new_2")])
def test_new_states_with_a_gap_are_refused(numbers: tuple[int, ...], named: str) -> None:
    message = problem({f"h_new_{i}": linear("x") for i in numbers})
    assert named in message
    assert "without a gap" in message


def test_a_number_with_a_leading_zero_or_another_script_is_no_state() -> None:
    for zero in ("00", "\N{ARABIC-INDIC DIGIT ZERO}"):
        assert "no new state" in problem({f"h_new_{zero}": linear("x")})
        message = problem(elman(sum=linear("x", f"h_prev_{zero}")))
        assert "node 'sum'" in message
        assert f"'h_prev_{zero}' is missing" in message


def test_a_state_number_of_thousands_of_digits_is_refused() -> None:
    assert "missing" in problem(elman(sum=linear("x", "h_prev_" + "9" * 5000)))
    problem({"h_new_" + "9" * 5000: linear("x")})


def test_more_than_three_states_are_refused() -> None:
    assert Recipe.from_json({f"h_new_{i}": linear("x") for i in range(3)}).num_states == 3
    message = problem({f"h_new_{i}": linear("x") for i in range(4)})
    assert "4 hidden states" in message
    assert "1 to 3" in message


# Rules of nodes


@pytest.mark.parametrize(
    ("op", "near"),
    [
        ("activation_tan", "activation_tanh"),
        ("Linear", "linear"),
        ("elementwise_mul", "elementwise_sum"),
        ("blend ", "blend"),
    ],
)
def test_an_unknown_op_is_refused_with_the_nearest_name(op: str, near: str) -> None:
    message = problem(elman(bad=node(op, "sum")))
    assert "node 'bad'" in message
    assert f"unknown op {op!r} (did you mean {near}?)" in message
    for known in OPS:
        assert known in message.split("accepted: ")[1].split(", ")


def test_an_op_like_no_other_is_refused_without_a_guess() -> None:
    message = problem(elman(bad=node("quux", "sum")))
    assert "unknown op 'quux'; accepted" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    "source", ["nothing", "h_new_1", "h_new_7", "h_new_", "h_prev", "h_prev_-1", "X", "", "x "]
)
@pytest.mark.parametrize("op", ["linear", "elementwise_sum"])
def test_an_input_that_is_nowhere_is_refused(source: str, op: str) -> None:
    message = problem(elman(bad=node(op, "sum", source)))
    assert "node 'bad'" in message
    assert f"input {source!r} is missing" in message


@pytest.mark.parametrize("op", ["linear", "elementwise_sum"])
def test_a_previous_state_beyond_the_number_of_states_is_refused(op: str) -> None:
    one = problem(elman(bad=node(op, "sum", "h_prev_1")))
    assert "node 'bad'" in one
    assert "'h_prev_1' is missing" in one
    assert "1 hidden state" in one
    two_states = elman(h_new_1=linear("x"), good=node(op, "sum", "h_prev_1"))
    assert Recipe.from_json(two_states).num_states == 2
    two = problem(two_states | {"bad": node(op, "sum", "h_prev_2")})
    assert "node 'bad'" in two
    assert "'h_prev_2' is missing" in two
    assert "h_prev_0 to h_prev_1" in two


@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("op", OPS)
def test_every_op_takes_its_number_of_inputs_and_no_other(op: str, count: int) -> None:
    document = elman(node=node(op, *["sum"] * count))
    accepted = OPS[op]
    if count == accepted or (accepted is None and count):
        assert Recipe.from_json(document).nodes["node"].input == ("sum",) * count
        return
    message = problem(document)
    assert "node 'node'" in message
    assert op in message
    if accepted is None:
        assert "no input" in message
    else:
        assert f"has {count} inputs; it takes {accepted}" in message


@pytest.mark.parametrize("op", [op for op in OPS if op != "linear"])
@pytest.mark.parametrize("position", range(3))
def test_the_layers_input_feeds_linear_nodes_only(op: str, position: int) -> None:
    arity = OPS[op]
    assert arity is not None
    if position >= arity:
        return
    sources = ["sum"] * arity
    sources[position] = "x"
    message = problem(elman(bad=node(op, *sources)))
    assert "node 'bad'" in message
    assert f"{op} takes x" in message


def test_a_recipe_without_a_linear_node_is_refused() -> None:
    message = problem({"h_new_0": node("activation_tanh", "h_prev_0")})
    assert "no linear node" in message


# Cycles


def test_a_cycle_is_refused_and_named_along_its_arrows() -> None:
    document = elman(a=linear("c"), b=node("activation_tanh", "a"), c=linear("x", "b"))
    message = problem(document)
    cycle = message.split("cycle: ")[1].split(";")[0].split(" -> ")
    assert cycle[0] == cycle[-1]
    assert sorted(cycle[1:]) == ["a", "b", "c"]
    for source, reader in itertools.pairwise(cycle):
        assert source in document[reader]["input"]


def test_a_node_that_reads_itself_is_a_cycle() -> None:
    assert "cycle: loop -> loop" in problem(elman(loop=linear("x", "loop")))


def test_a_cycle_through_a_new_state_is_refused() -> None:
    message = problem(elman(sum=linear("x", "h_new_0")))
    assert "cycle" in message
    assert "h_new_0" in message
    assert "sum" in message


def test_a_node_may_read_a_new_state() -> None:
    recipe = Recipe.from_json(elman(h_new_1=linear("h_new_0", "h_prev_1")))
    assert recipe.order == ("sum", "h_new_0", "h_new_1")


def test_no_node_of_a_wrapped_recipe_stands_twice() -> None:
    node = '{"op": "linear", "input": ["x", "h_prev_0"]}'
    text = f'{{"space": "rnn", "architecture": {{"h_new_0": {node}, "h_new_0": {node}}}}}'
    with pytest.raises(InputError, match="'h_new_0' stands twice"):
        RecurrentSpace().parse(text)
