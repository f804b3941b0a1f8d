"""The recurrent space, and spaces by name."""

import dataclasses
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from archscout import spaces
from archscout.errors import InputError
from archscout.spaces import Recipe, RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent import Node

SPACE = RecurrentSpace()
V = 50


def number_of_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Spaces by name


def test_the_recurrent_space_is_found_by_its_name() -> None:
    assert isinstance(spaces.get("rnn"), RecurrentSpace)
    assert spaces.available()["rnn"] is RecurrentSpace


@pytest.mark.parametrize("name", ["rn", "RNN", "rnnn"])
def test_a_misspelt_space_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(InputError) as refusal:
        spaces.get(name)
    assert f"unknown space {name!r}" in str(refusal.value)
    assert "rnn" in str(refusal.value).split("known: ")[1].split(", ")


def test_a_nearly_right_name_of_a_space_is_recognised() -> None:
    with pytest.raises(InputError, match=r"did you mean rnn\?"):
        spaces.get("rn")
    with pytest.raises(InputError) as refusal:
        spaces.get("quux")
    assert "did you mean" not in str(refusal.value)


# Architectures


def test_samples_are_all_different_and_follow_from_the_seed() -> None:
    samples = list(itertools.islice(SPACE.samples(0), 300))
    assert len({SPACE.fingerprint(recipe) for recipe in samples}) == 300
    assert list(itertools.islice(SPACE.samples(0), 300)) == samples
    assert SPACE.sample(0) == samples[0]
    others = list(itertools.islice(SPACE.samples(1), 20))
    assert others != samples[:20]


def test_two_runs_through_samples_do_not_disturb_each_other() -> None:
    one, other = SPACE.samples(0), SPACE.samples(0)
    assert next(one) == next(other)
    next(one)
    assert next(other) == next(itertools.islice(SPACE.samples(0), 1, None))


@pytest.mark.parametrize("states", [1, 2, 3])
def test_samples_have_as_many_states_as_the_space_says(states: int) -> None:
    space = RecurrentSpace(states=states, steps=6)
    assert {r.num_states for r in itertools.islice(space.samples(0), 30)} == {states}


@pytest.mark.parametrize(("states", "steps"), [(0, None), (4, None), (None, 0), (None, 13), (3, 2)])
def test_a_space_of_impossible_cells_is_refused_at_the_first_sample(
    states: int | None, steps: int | None
) -> None:
    with pytest.raises(InputError, match=r"(states|steps) is -?\d+"):
        RecurrentSpace(states, steps).sample(0)


class Lowest:
    """A search that always gives the lowest value, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.asked.append(name)
        return low

    def suggest_float(self, name: str, low: float, high: float) -> float:
        self.asked.append(name)
        return low

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        self.asked.append(name)
        return choices[0]


def test_a_search_is_offered_the_cells_that_the_space_says() -> None:
    assert SPACE.suggest(Lowest()).num_states == 1
    for states in (1, 2, 3):
        assert RecurrentSpace(states=states).suggest(Lowest()).num_states == states
    few, many = Lowest(), Lowest()
    RecurrentSpace(steps=3).suggest(few)
    RecurrentSpace(steps=5).suggest(many)
    assert len(many.asked) > len(few.asked)


def test_architectures_are_read_from_text_bytes_and_objects() -> None:
    recipe = SPACE.named["lstm"]
    for document in (recipe.to_json(), recipe.to_json().encode(), recipe.to_dict()):
        assert SPACE.parse(document) == recipe
    assert SPACE.parse(json.dumps(SPACE.to_dict(recipe))) == recipe
    with pytest.raises(InputError):
        SPACE.parse("{}")


def test_architectures_are_read_from_their_names() -> None:
    for name, recipe in SPACE.named.items():
        assert SPACE.parse(name) == recipe
        assert SPACE.parse(f" {name}\n") == recipe
        assert SPACE.parse(recipe) is recipe


@pytest.mark.parametrize(("name", "hint"), [("lstmm", " (did you mean lstm?)"), ("quux", "")])
def test_a_misspelt_name_of_an_architecture_is_refused_with_those_there_are(
    name: str, hint: str
) -> None:
    with pytest.raises(InputError) as refusal:
        SPACE.parse(name)
    assert f"no architecture {name!r}{hint};" in str(refusal.value)
    assert "rnn, gru, lstm" in str(refusal.value)


def test_classical_cells_are_recipes_with_a_name() -> None:
    assert list(SPACE.named) == ["rnn", "gru", "lstm"]
    assert [SPACE.named[name].num_states for name in SPACE.named] == [1, 1, 2]
    assert len({SPACE.fingerprint(recipe) for recipe in SPACE.named.values()}) == 3


def test_fingerprint_and_canonical_form_ignore_names_and_order() -> None:
    recipe = SPACE.named["rnn"]
    other = Recipe(
        {
            "h_new_0": Node(op="activation_tanh", input=("z",)),
            "z": Node(op="linear", input=("h_prev_0", "x")),
        }
    )
    assert SPACE.fingerprint(other) == SPACE.fingerprint(recipe)
    assert SPACE.canonical(other) == SPACE.canonical(recipe)
    assert SPACE.fingerprint(other) != SPACE.fingerprint(SPACE.named["gru"])


def test_a_description_counts_states_and_operations() -> None:
    assert SPACE.describe(SPACE.named["rnn"]) == "1 state: 1 linear, 1 tanh"
    assert (
        SPACE.describe(SPACE.named["gru"]) == "1 state: 3 linear, 2 sigm, 1 prod, 1 tanh, 1 blend"
    )
    lstm = SPACE.describe(SPACE.named["lstm"])
    assert lstm == "2 states: 4 linear, 3 sigm, 3 prod, 2 tanh, 1 sum"
    leaky = SPACE.named["rnn"].nodes | {"h_new_0": Node(op="activation_leaky_relu", input=("sum",))}
    assert SPACE.describe(Recipe(leaky)) == "1 state: 1 linear, 1 leaky_relu"


# Scales


def test_the_scales_are_those_of_the_paper_and_a_fast_one_for_search() -> None:
    assert SPACE.scales["paper"] == RecurrentScale(50, 70, 400, 600, 3, "published")
    assert SPACE.scales["fast"] == RecurrentScale(20, 35, 64, 96, 3, "canonical")
    assert SPACE.default_scale == "fast"
    assert SPACE.scales["fast"].is_small
    assert not SPACE.scales["paper"].is_small


def test_resizing_changes_what_is_named_and_nothing_else() -> None:
    scale = SPACE.scales["fast"]
    resized = scale.resized(hidden_size=7, batch_size=None, num_layers=1)
    assert resized == dataclasses.replace(scale, hidden_size=7, num_layers=1)
    assert scale.hidden_size == 96
    assert scale.resized() == scale
    assert scale.resized(initialisation="published").initialisation == "published"


@pytest.mark.parametrize("size", [0, -3, True, False, 2.0, "7"])
@pytest.mark.parametrize("name", ["batch_size", "hidden_size", "num_layers"])
def test_a_size_that_is_no_positive_whole_number_is_refused(name: str, size: Any) -> None:
    with pytest.raises(InputError) as refusal:
        SPACE.scales["fast"].resized(**{name: size})
    assert str(refusal.value) == f"{name} is {size!r}; a positive whole number is accepted"


def test_an_unknown_size_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="unknown size 'hidden'") as refusal:
        SPACE.scales["fast"].resized(hidden=3)
    for field in dataclasses.fields(RecurrentScale):
        assert field.name in str(refusal.value)


@pytest.mark.parametrize("way", ["random", "", 3])
def test_an_unknown_way_of_initialisation_is_refused_with_those_there_are(way: Any) -> None:
    with pytest.raises(InputError) as refusal:
        SPACE.scales["fast"].resized(initialisation=way)
    assert str(refusal.value) == f"initialisation is {way!r}; accepted: published, canonical"


# Networks


@pytest.mark.parametrize("name", SPACE.named)
def test_a_network_is_built_at_the_scale_for_search_by_default(name: str) -> None:
    network = SPACE.build(SPACE.named[name], V)
    assert network.embedding.shape == (V, 64)
    assert [layer.hidden_size for layer in network.layers] == [96, 96, 64]
    logits, _ = network(torch.zeros(2, 3, dtype=torch.long))
    assert logits.shape == (2, 3, V)
    assert logits.isfinite().all()


def test_sampled_architectures_run() -> None:
    tokens = torch.arange(12).view(4, 3)
    for recipe in itertools.islice(SPACE.samples(0), 30):
        logits, states = SPACE.build(recipe, V)(tokens)
        assert logits.shape == (4, 3, V)
        assert len(states[0]) == recipe.num_states


@pytest.mark.parametrize("scale", ["fast", "paper"])
def test_a_skeleton_has_the_networks_shapes_and_no_memory(scale: str) -> None:
    recipe, size = SPACE.named["lstm"], SPACE.scales[scale].resized(embedding_size=6, hidden_size=8)
    skeleton, network = SPACE.skeleton(recipe, V, size), SPACE.build(recipe, V, size)
    assert all(parameter.is_meta for parameter in skeleton.parameters())
    shapes = [(name, p.shape) for name, p in network.named_parameters()]
    assert [(name, p.shape) for name, p in skeleton.named_parameters()] == shapes
    recorder = SPACE.recorder(recipe, V, size, 0, depth=0)
    assert recorder.parameters == number_of_parameters(network)


def test_a_network_follows_from_its_seed() -> None:
    tokens = torch.arange(12).view(4, 3)
    recipe = SPACE.named["lstm"]

    def logits(seed: int) -> torch.Tensor:
        return SPACE.build(recipe, V, seed=seed).eval()(tokens)[0]

    assert torch.equal(logits(1), logits(1))
    assert not torch.allclose(logits(1), logits(2))
    assert torch.equal(logits(0), SPACE.build(recipe, V).eval()(tokens)[0])


def test_a_step_is_one_token_for_each_sequence() -> None:
    network = SPACE.build(SPACE.named["gru"], V)
    assert SPACE.step(network, SPACE.scales["fast"], 4).shape == (1, 4, V)


def test_the_cell_of_elman_has_as_many_parameters_as_published() -> None:
    # The published log of this cell, over the 33,278 words of WikiText-2.
    network = SPACE.skeleton(SPACE.named["rnn"], 33_278, SPACE.scales["paper"])
    assert number_of_parameters(network) == 15_066_078


def test_published_cells_have_as_many_parameters_as_in_their_logs(shared: Path) -> None:
    logs = shared / "upstream" / "nas-bench-nlp-release" / "train_logs_wikitext-2" / "logs.zip"
    repaired = 0
    with zipfile.ZipFile(logs) as archive:
        assert archive.namelist()
        for name in archive.namelist():
            log = json.loads(archive.read(name))
            recipe = SPACE.parse(log["recepie"])
            scale = SPACE.scales["paper"].resized(
                embedding_size=log["emsize"], hidden_size=log["nhid"], num_layers=log["nlayers"]
            )
            network = SPACE.skeleton(recipe, 33_278, scale)
            assert number_of_parameters(network) == log["num_params"], name
            canonical = SPACE.skeleton(SPACE.canonical(recipe), 33_278, scale)
            assert number_of_parameters(canonical) == log["num_params"], name
            repaired += recipe.order != tuple(recipe.nodes)
    assert repaired > 0
