"""Random weights from a seed, in both ways of drawing them."""

import copy
import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archscout.spaces.recurrent import (
    CELLS,
    Node,
    Recipe,
    RecurrentLanguageModel,
    RecurrentScale,
    RecurrentSpace,
)
from archscout.spaces.recurrent.initialisation import initialise_canonical, initialise_published

SPACE = RecurrentSpace()
V, E, H = 37, 10, 14
SCALES = {
    "published": RecurrentScale(2, 5, E, H, 3, "published"),
    "canonical": RecurrentScale(2, 5, E, H, 3, "canonical"),
}
BOTH = pytest.mark.parametrize("way", SCALES)

# No two nodes alike, three states, a source that is listed twice, and an order that is repaired.
CELL = Recipe(
    {
        "h_new_1": Node(op="activation_tanh", input=("late",)),
        "late": Node(op="linear", input=("early", "x", "early")),
        "early": Node(op="activation_sigm", input=("first",)),
        "first": Node(op="linear", input=("h_prev_0", "x", "h_prev_2")),
        "h_new_0": Node(op="linear", input=("x", "h_prev_1")),
        "h_new_2": Node(op="elementwise_prod", input=("early", "first")),
    }
)


def build(recipe: Recipe, way: str, seed: int = 0, **sizes: int) -> RecurrentLanguageModel:
    return SPACE.build(recipe, V, SCALES[way].resized(**sizes), seed)


def weights(model: RecurrentLanguageModel) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def all_equal(a: RecurrentLanguageModel, b: RecurrentLanguageModel) -> bool:
    ours, theirs = weights(a), weights(b)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


# Both ways


@BOTH
def test_weights_stay_within_their_layers_bound_and_fill_it(way: str) -> None:
    model = build(CELL, way, hidden_size=60, embedding_size=30)
    for layer, width in zip(model.layers, (60, 60, 30), strict=True):
        everything = torch.cat([p.detach().flatten() for p in layer.parameters()])
        bound = 1 / math.sqrt(width)
        assert everything.abs().max() <= bound
        assert everything.abs().max() > 0.99 * bound
        # Uniform numbers have this standard deviation and mean.
        assert abs(everything.std() / (bound / math.sqrt(3)) - 1) < 0.02
        assert abs(everything.mean()) < 0.02 * bound
        assert all(p.detach().abs().max() > 0.5 * bound for p in layer.parameters())
    embedding = model.embedding.detach()
    assert 0.099 < embedding.abs().max() <= 0.1
    assert abs(embedding.std() / (0.1 / math.sqrt(3)) - 1) < 0.05
    assert not model.decoder_bias.any()


@BOTH
def test_the_same_seed_gives_the_same_weights_whatever_was_built_before(way: str) -> None:
    first = build(CELL, way, seed=3)
    build(CELLS["lstm"], way, seed=3)
    build(CELL, way, seed=4)
    build(CELLS["lstm"], way, seed=3, embedding_size=E + 1)
    assert all_equal(build(CELL, way, seed=3), first)


@BOTH
def test_another_seed_gives_other_weights_everywhere(way: str) -> None:
    one, other = weights(build(CELL, way, seed=0)), weights(build(CELL, way, seed=1))
    for name in one.keys() - {"decoder_bias"}:
        assert not (one[name] == other[name]).any(), name


@BOTH
def test_no_two_tensors_share_their_numbers(way: str) -> None:
    tensors = weights(build(CELL, way))
    del tensors["decoder_bias"]
    beginnings = {tuple(tensor.flatten()[:4].tolist()) for tensor in tensors.values()}
    assert len(beginnings) == len(tensors)


@BOTH
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**63 - 1])
def test_large_seeds_are_seeds_like_any_other(way: str, seed: int) -> None:
    assert all_equal(build(CELL, way, seed), build(CELL, way, seed))


@BOTH
def test_changing_a_model_does_not_change_the_next(way: str) -> None:
    before = build(CELL, way)
    expected = copy.deepcopy(before)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.fill_(7)
    assert all_equal(build(CELL, way), expected)


@BOTH
def test_models_of_one_seed_share_no_memory(way: str) -> None:
    one, other = build(CELL, way), build(CELL, way)
    places = {parameter.data_ptr() for parameter in one.parameters()}
    assert not places & {parameter.data_ptr() for parameter in other.parameters()}


@BOTH
def test_the_global_generator_is_neither_read_nor_moved(way: str) -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = build(CELL, way)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    assert all_equal(build(CELL, way), first)


@BOTH
def test_a_built_model_is_ready_to_train(way: str) -> None:
    model = build(CELL, way)
    for parameter in model.parameters():
        assert parameter.requires_grad
        assert parameter.is_leaf
        assert parameter.device.type == "cpu"
        assert parameter.dtype == torch.float32
    model(torch.zeros(2, 3, dtype=torch.long))[0].sum().backward()
    assert model.embedding.grad is not None


@BOTH
@pytest.mark.parametrize("name", ["own", *CELLS])
def test_one_layer_gets_the_same_weights_as_one_of_three(way: str, name: str) -> None:
    recipe = CELLS.get(name, CELL)
    if way == "canonical":
        recipe = SPACE.canonical(recipe)
    models = []
    for depth in (1, 2, 3):
        model = SPACE.skeleton(recipe, V, SCALES[way])
        if way == "published":
            initialise_published(model, 5, depth, H)
        else:
            initialise_canonical(model, 5, depth)
        filled = [not p.is_meta for layer in model.layers for p in layer.parameters()]
        assert sum(filled) == len(filled) * depth // 3
        models.append(model)
    full = SPACE.build(recipe, V, SCALES[way], 5)
    for depth, model in enumerate(models, 1):
        assert torch.equal(model.embedding, full.embedding)
        for layer, complete in zip(model.layers[:depth], full.layers, strict=False):
            for ours, theirs in zip(layer.parameters(), complete.parameters(), strict=True):
                assert torch.equal(ours, theirs)


@BOTH
@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_a_recorder_of_some_layers_sees_the_states_of_the_full_model(way: str, depth: int) -> None:
    minibatch = torch.arange(10).view(5, 2)
    wanted = frozenset({"hidden_states"})
    shallow = SPACE.recorder(CELL, V, SCALES[way], 0, depth).record(minibatch, wanted, depth)
    full = SPACE.recorder(CELL, V, SCALES[way], 0, None).record(minibatch, wanted)
    assert len(full.hidden_states) == 3
    assert len(shallow.hidden_states) == min(depth, 3)
    for ours, theirs in zip(shallow.hidden_states, full.hidden_states, strict=False):
        torch.testing.assert_close(list(ours), list(theirs))


# The published way


def transcribed(
    recipe: Recipe, vocabulary: int, embedding_size: int, hidden_size: int, layers: int, seed: int
) -> Iterator[Tensor]:
    """The embedding, then every layer's weights and bias node by node, drawn as published.

    Each linear node's tensors come out in the order of its inputs, the bias last.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        embedding = nn.Embedding(vocabulary, embedding_size)
        filled = []
        widths = [embedding_size, *[hidden_size] * (layers - 1), embedding_size]
        for i in range(layers):
            width = widths[i + 1]
            nodes = []
            for node in recipe.nodes.values():
                if node.op != "linear":
                    continue
                tensors = []
                for source in node.input:
                    weight = torch.empty(width, widths[i] if source == "x" else width)
                    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
                    tensors.append(weight)
                fan_in = tensors[0].shape[1]
                bias = torch.empty(width)
                nn.init.uniform_(bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
                nodes.append([bias, *tensors])
            for tensor in (tensor for tensors in nodes for tensor in tensors):
                nn.init.uniform_(tensor, -1 / math.sqrt(width), 1 / math.sqrt(width))
            filled += [tensor for bias, *tensors in nodes for tensor in (*tensors, bias)]
        nn.Linear(hidden_size, vocabulary)
        nn.init.uniform_(embedding.weight, -0.1, 0.1)
        nn.init.uniform_(embedding.weight, -0.1, 0.1)
        yield embedding.weight.detach()
        yield from filled


@pytest.mark.parametrize("seed", [0, 12345])
@pytest.mark.parametrize(
    ("vocabulary", "embedding_size", "hidden_size", "layers"),
    [
        (V, E, H, 3),
        (V, E, H, 1),
        (V, H, E, 2),
        (3, 3, 2, 3),  # nine normal numbers: torch draws fewer than sixteen in another way
        (3001, 130, 170, 2),  # hundreds of thousands of numbers to leave out
        (2, 511, 512, 2),  # for the cell of Elman, 2¹⁹ numbers in the first layer
    ],
)
@pytest.mark.parametrize("name", ["own", "rnn", "gru"])
def test_the_published_way_draws_in_the_published_order(
    name: str, vocabulary: int, embedding_size: int, hidden_size: int, layers: int, seed: int
) -> None:
    recipe = CELLS.get(name, CELL)
    scale = RecurrentScale(2, 5, embedding_size, hidden_size, layers, "published")
    model = SPACE.build(recipe, vocabulary, scale, seed)
    expected = transcribed(recipe, vocabulary, embedding_size, hidden_size, layers, seed)
    assert torch.equal(model.embedding, next(expected))
    for layer in model.layers:
        for node_name in (name for name, node in recipe.nodes.items() if node.op == "linear"):
            node = layer.linear[node_name]
            for tensor in (*node.weights, node.bias):
                assert torch.equal(tensor, next(expected))
    assert next(expected, None) is None


def test_the_published_way_draws_in_the_order_of_the_file() -> None:
    lstm = CELLS["lstm"]
    backwards = Recipe(dict(reversed(lstm.nodes.items())))
    model, other = build(lstm, "published"), build(backwards, "published")
    assert torch.equal(model.embedding, other.embedding)
    gates = [name for name, node in lstm.nodes.items() if node.op == "linear"]
    for gate, mirrored in zip(gates, reversed(gates), strict=True):
        ours, theirs = model.layers[0].linear[gate], other.layers[0].linear[mirrored]
        for weight, twin in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(weight, twin)


# The canonical way


@pytest.mark.parametrize("seed", range(5))
def test_the_canonical_way_depends_on_neither_names_nor_order(
    rewritten: Callable[..., Recipe], seed: int
) -> None:
    recipe = SPACE.sample(seed)
    rng = random.Random(seed)
    tokens = torch.arange(12).view(4, 3)
    model = build(recipe, "canonical", seed).eval()
    for _ in range(5):
        other = build(rewritten(recipe, rng), "canonical", seed).eval()
        assert all_equal(model, other)
        assert torch.equal(model(tokens)[0], other(tokens)[0])


def test_the_canonical_way_gives_all_architectures_the_same_embedding() -> None:
    embeddings = [build(recipe, "canonical").embedding for recipe in (CELL, *CELLS.values())]
    for embedding in embeddings[1:]:
        assert torch.equal(embedding, embeddings[0])
    deeper = build(CELL, "canonical", num_layers=5, hidden_size=3)
    assert torch.equal(deeper.embedding, embeddings[0])


def test_the_canonical_way_gives_a_layer_the_same_weights_whatever_comes_after_it() -> None:
    two, five = (build(CELL, "canonical", num_layers=n) for n in (2, 5))
    for ours, theirs in zip(two.layers[0].parameters(), five.layers[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


# The reference implementation


def golden_cases(
    document: dict[str, Any], text: Path | None
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Each case with its minibatch (T, B)."""
    if text is None:
        minibatch = torch.tensor(document["tokens"])
    else:
        ids: dict[str, int] = {}
        tokens = [
            ids.setdefault(token, len(ids))
            for line in text.read_text("utf-8").splitlines()
            for token in (*line.split(), "<eos>")
        ]
        assert (len(ids), len(tokens)) == (document["vocab_size"], document["num_tokens"])
        columns = torch.tensor(tokens[: len(tokens) // 50 * 50]).view(50, -1)
        minibatch = columns.t()[:70]
    for case in document["cases"]:
        yield case, minibatch


@pytest.mark.parametrize("name", ["rnn_small", "rnn_paper"])
def test_first_activations_are_those_of_the_reference(
    golden: Path, name: str, request: pytest.FixtureRequest
) -> None:
    document = json.loads((golden / f"{name}.json").read_text())
    text = None
    if name == "rnn_paper":
        text = request.getfixturevalue("shared") / "text" / document["text"]
    for case, minibatch in golden_cases(document, text):
        scale = SPACE.scales["paper"].resized(
            embedding_size=case["embedding_size"],
            hidden_size=case["hidden_size"],
            num_layers=case["num_layers"],
        )
        model = SPACE.build(SPACE.parse(case["recipe"]), case["vocab_size"], scale, case["seed"])
        with torch.no_grad():
            output, states = model.eval().encode(minibatch[:1])
        expected = case["activations"]
        for ours, theirs in (
            (states[0][0][0], expected["hidden_state_layer1_t1"]),
            (output[0, 0], expected["output_first"]),
        ):
            torch.testing.assert_close(
                ours[: len(theirs)], torch.tensor(theirs), rtol=1e-5, atol=1e-7, msg=case["name"]
            )


def test_tensors_that_a_recorder_shares_are_those_that_are_drawn_alone() -> None:
    small = SCALES["canonical"].resized(embedding_size=4, hidden_size=5)
    for scale in (small, SCALES["canonical"], small):  # of other sizes, by the same names
        for recipe in (CELLS["lstm"], CELL, CELLS["gru"]):
            recorder = SPACE.recorder(recipe, V, scale, 8, None)
            shared = {p.data_ptr(): p for p in recorder.linear_parameters()}
            model = SPACE.build(recipe, V, scale, 8)
            for i, layer in enumerate(model.recurrent_layers):
                bound = 1 / math.sqrt(layer.hidden_size)
                for name, node in layer.linear.items():
                    for j, weight in enumerate(node.weights):
                        digest = hashlib.blake2b(f"8/{i}/{name}/{j}".encode(), digest_size=8)
                        start = int.from_bytes(digest.digest(), "big") >> 1
                        generator = torch.Generator().manual_seed(start)
                        expected = torch.empty(weight.shape)
                        expected.uniform_(-bound, bound, generator=generator)
                        assert torch.equal(weight, expected)
                        assert any(torch.equal(p, expected) for p in shared.values())
            again = SPACE.recorder(recipe, V, scale, 8, None).linear_parameters()
            assert {p.data_ptr() for p in again} == shared.keys()
