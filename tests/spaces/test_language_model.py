"""The language model computes what its cell says, and drops out what its rates say."""

import ast
import copy
import inspect
import itertools
import pickle
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout.spaces.recurrent import CELLS, Dropout, Node, Recipe, RecurrentLanguageModel
from archscout.spaces.recurrent import language_model as module
from archscout.spaces.recurrent.language_model import (
    RecurrentLayer,
    Wiring,
    locked_dropout,
    word_dropout,
)
from archscout.spaces.recurrent.sampler import sample

V, E, H = 11, 5, 7
NONE = Dropout(embedding=0, input=0, between=0, output=0, weight=0)


def fill(network: nn.Module, seed: int = 0) -> None:
    """Random weights, large enough for every operation to bend them."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.7, generator=generator)


def model_of(recipe: Recipe, dropout: Dropout = NONE, layers: int = 3) -> RecurrentLanguageModel:
    model = RecurrentLanguageModel(recipe.to_dict(), V, E, H, layers, dropout).double()
    fill(model)
    return model


def recipe_of(cell: Mapping[str, tuple[str, Sequence[str]]]) -> Recipe:
    """A recipe, written without braces and brackets."""
    return Recipe({name: Node(op=op, input=tuple(inputs)) for name, (op, inputs) in cell.items()})


def layer_of(
    cell: Recipe | Mapping[str, tuple[str, Sequence[str]]], width: int = H
) -> RecurrentLayer:
    recipe = cell if isinstance(cell, Recipe) else recipe_of(cell)
    layer = RecurrentLayer(Wiring(recipe.to_dict()), E, width).double()
    fill(layer)
    return layer


def random_states(model: RecurrentLanguageModel, batch: int) -> list[tuple[Tensor, ...]]:
    return [
        tuple(numbers(*state.shape, seed=20 + i) for i, state in enumerate(states))
        for states in model.initial_state(batch)
    ]


def tokens_of(*shape: int) -> Tensor:
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(1))


def numbers(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def gradients(value: Tensor, of: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of a weighted sum of all numbers; zero for what has no part in them."""
    total = (value * numbers(*value.shape, seed=3)).sum()
    found = torch.autograd.grad(total, list(of), allow_unused=True, retain_graph=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(of, found, strict=True)
    ]


# Against torch's own networks

GATES = {
    "rnn": ["sum"],
    "lstm": ["input_sum", "forget_sum", "candidate_sum", "output_sum"],  # in torch's order
}


def stacked(layer: RecurrentLayer, gates: Sequence[str]) -> list[Tensor]:
    """The layer's weights of x, weights of h_prev_0, and biases, as torch stacks them."""
    nodes = [layer.linear[gate] for gate in gates]
    assert all(node.inputs == ("x", "h_prev_0") for node in nodes)
    weights = [torch.cat([node.weights[place] for node in nodes]) for place in (0, 1)]
    return [*weights, torch.cat([node.bias for node in nodes])]


@pytest.mark.parametrize("name", GATES)
def test_classical_cells_compute_what_torch_computes(name: str) -> None:
    model = model_of(CELLS[name]).eval()
    tokens = tokens_of(6, 3)
    states = random_states(model, 3)
    outputs, after = model.encode(tokens, states)

    embedding = model.embedding.detach().clone().requires_grad_()
    expected = F.embedding(tokens, embedding)
    twins = []
    for layer, state, last in zip(model.layers, states, after, strict=True):
        assert isinstance(layer, RecurrentLayer)
        kind = nn.LSTM if name == "lstm" else nn.RNN
        twin = kind(expected.shape[-1], layer.hidden_size).double()
        from_x, from_h, bias = stacked(layer, GATES[name])
        twin.weight_ih_l0.data, twin.weight_hh_l0.data = from_x.data, from_h.data
        # Two biases stand for one.
        twin.bias_ih_l0.data, twin.bias_hh_l0.data = bias.data - 0.25, torch.full_like(bias, 0.25)
        first = tuple(s[None] for s in state)
        expected, end = twin(expected, first if name == "lstm" else first[0])
        for ours, theirs in zip(last, end if name == "lstm" else (end,), strict=True):
            torch.testing.assert_close(ours, theirs[0])
        twins.append(twin)
    torch.testing.assert_close(outputs, expected)

    ours_of = dict(
        zip(model.parameters(), gradients(outputs, list(model.parameters())), strict=True)
    )
    theirs_of = [
        gradients(expected, [t.weight_ih_l0, t.weight_hh_l0, t.bias_ih_l0, t.bias_hh_l0])
        for t in twins
    ]
    [of_embedding] = gradients(expected, [embedding])
    torch.testing.assert_close(ours_of[model.embedding], of_embedding)
    for layer, (from_x, from_h, bias, other_bias) in zip(model.layers, theirs_of, strict=True):
        nodes = [layer.linear[gate] for gate in GATES[name]]
        for place, theirs in enumerate((from_x, from_h)):
            ours = torch.cat([ours_of[node.weights[place]] for node in nodes])
            torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(bias, other_bias)
        torch.testing.assert_close(torch.cat([ours_of[node.bias] for node in nodes]), bias)


def test_the_gru_follows_the_equations_of_cho() -> None:
    layer = layer_of(CELLS["gru"])
    inputs, state = numbers(6, 3, E), numbers(3, H, seed=4)
    outputs, (last,) = layer(inputs, (state,))
    for x, output in zip(inputs, outputs, strict=True):

        def linear(name: str, h: Tensor, x: Tensor = x) -> Tensor:
            node = layer.linear[name]
            return x @ node.weights[0].t() + h @ node.weights[1].t() + node.bias

        reset = torch.sigmoid(linear("reset_sum", state))
        update = torch.sigmoid(linear("update_sum", state))
        candidate = torch.tanh(linear("candidate_sum", reset * state))
        state = update * state + (1 - update) * candidate
        torch.testing.assert_close(output, state)
    torch.testing.assert_close(last, state)


# Against an interpreter that goes from node to node


def interpreted(
    layer: RecurrentLayer, recipe: Recipe, inputs: Tensor, states: tuple[Tensor, ...]
) -> tuple[list[tuple[Tensor, ...]], dict[str, list[Tensor]]]:
    """The states after each step and every node's outputs, computed one node at a time."""
    after, outputs = [], {name: [] for name in recipe.nodes}
    for x in inputs:
        values = {"x": x, **{f"h_prev_{i}": state for i, state in enumerate(states)}}
        for name in recipe.order:
            node = recipe.nodes[name]
            args = [values[source] for source in node.input]
            if node.op == "linear":
                linear = layer.linear[name]
                value = linear.bias.expand(len(x), -1)
                for weight, arg in zip(linear.weights, args, strict=True):
                    value = value + arg @ weight.t()
            elif node.op == "blend":
                value = args[0] * args[1] + (1 - args[0]) * args[2]
            elif node.op == "elementwise_prod":
                value = args[0] * args[1]
            elif node.op == "elementwise_sum":
                value = args[0] + args[1]
            elif node.op == "activation_tanh":
                value = args[0].tanh()
            elif node.op == "activation_sigm":
                value = (1 + (args[0] / 2).tanh()) / 2
            else:
                assert node.op == "activation_leaky_relu"
                value = torch.where(args[0] > 0, args[0], 0.01 * args[0])
            values[name] = value
            outputs[name].append(value)
        states = tuple(values[f"h_new_{i}"] for i in range(recipe.num_states))
        after.append(states)
    return after, outputs


def check_against_interpreter(recipe: Recipe) -> None:
    layer = layer_of(recipe)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 0.4  # small numbers, for cells of products and sums may grow fast
    inputs = numbers(4, 3, E).requires_grad_()
    states = tuple(
        (0.3 * numbers(3, H, seed=10 + i)).requires_grad_() for i in range(recipe.num_states)
    )
    unrolled = layer.unroll(layer.steps(layer.affine(inputs)), states, keep=recipe.nodes)
    after, values = interpreted(layer, recipe, inputs, states)

    def same(ours: object, theirs: object) -> None:
        torch.testing.assert_close(
            ours, theirs, rtol=1e-9, atol=1e-9, msg=lambda text: f"{recipe}\n{text}"
        )

    same(unrolled.states[1:], after)
    assert unrolled.states[0] == states
    assert set(unrolled.values) == set(recipe.nodes)
    for name in recipe.nodes:
        same(unrolled.values[name], values[name])
    outputs, last = layer(inputs, states)
    same(outputs, torch.stack([step[0] for step in after]))
    same(last, after[-1])

    leaves = [inputs, *states, *layer.parameters()]
    ours = torch.cat([outputs.flatten(), *(state.flatten() for state in last)])
    theirs = torch.cat([step[0].flatten() for step in after] + [s.flatten() for s in after[-1]])
    same(gradients(ours, leaves), gradients(theirs, leaves))


@pytest.mark.parametrize("states", [1, 2, 3])
def test_sampled_cells_compute_what_an_interpreter_computes(states: int) -> None:
    rng = random.Random(states)
    for _ in range(17):
        check_against_interpreter(sample(rng, states, rng.randint(states, 12)))


CORNER_CELLS = {
    "a source listed twice": {
        "a": ("linear", ["x", "h_prev_0", "x"]),
        "b": ("activation_tanh", ["a"]),
        "c": ("linear", ["h_prev_0", "b", "h_prev_0", "b"]),
        "h_new_0": ("activation_sigm", ["c"]),
    },
    "linear nodes with neither x nor a state": {
        "a": ("linear", ["x"]),
        "b": ("activation_tanh", ["a"]),
        "c": ("linear", ["b"]),
        "d": ("linear", ["c", "b"]),
        "h_new_0": ("activation_leaky_relu", ["d"]),
    },
    "no node reads x": {
        "a": ("linear", ["h_prev_0"]),
        "b": ("activation_tanh", ["a"]),
        "c": ("linear", ["b", "h_prev_0"]),
        "h_new_0": ("elementwise_sum", ["c", "b"]),
    },
    "no linear node reads a state": {
        "a": ("linear", ["x"]),
        "b": ("activation_sigm", ["a"]),
        "h_new_0": ("blend", ["b", "h_prev_0", "a"]),
    },
    "only the second state is read": {
        "a": ("linear", ["x", "h_prev_1"]),
        "h_new_0": ("activation_tanh", ["a"]),
        "b": ("linear", ["h_prev_1", "h_new_0"]),
        "h_new_1": ("activation_tanh", ["b"]),
    },
    "all kinds of linear nodes, each kind twice": {
        "a": ("linear", ["h_prev_1"]),
        "b": ("linear", ["h_prev_0", "h_prev_1"]),
        "c": ("linear", ["x", "h_prev_1"]),
        "d": ("linear", ["h_prev_0", "x"]),
        "e": ("linear", ["x"]),
        "f": ("linear", ["x", "h_prev_0", "h_prev_1"]),
        "g": ("linear", ["h_prev_0"]),
        "i": ("activation_tanh", ["a"]),
        "j": ("linear", ["i", "x"]),
        "k": ("linear", ["i"]),
        "l": ("blend", ["b", "c", "d"]),
        "m": ("elementwise_prod", ["e", "f"]),
        "n": ("elementwise_sum", ["g", "j"]),
        "h_new_0": ("blend", ["l", "m", "n"]),
        "h_new_1": ("elementwise_sum", ["k", "l"]),
    },
    "a product of a node with itself": {
        "a": ("linear", ["x", "h_prev_0"]),
        "b": ("elementwise_prod", ["a", "a"]),
        "c": ("blend", ["b", "a", "a"]),
        "h_new_0": ("activation_tanh", ["c"]),
    },
    "a file in reverse order": {
        "h_new_0": ("activation_tanh", ["b"]),
        "b": ("linear", ["x", "a"]),
        "a": ("activation_sigm", ["c"]),
        "c": ("linear", ["x", "h_prev_0"]),
    },
    "names that torch would not take": {
        "a.b": ("linear", ["x", "h_prev_0"]),
        "weights": ("linear", ["x", "two words"]),
        "two words": ("activation_tanh", ["a.b"]),
        "h_new_0": ("activation_tanh", ["weights"]),
    },
    "three linear states": {
        "h_new_0": ("linear", ["x", "h_prev_2"]),
        "h_new_2": ("linear", ["h_prev_1"]),
        "h_new_1": ("linear", ["h_new_0", "h_prev_0"]),
    },
}


@pytest.mark.parametrize("name", CORNER_CELLS)
def test_unusual_cells_compute_what_an_interpreter_computes(name: str) -> None:
    check_against_interpreter(recipe_of(CORNER_CELLS[name]))


# The model as a whole


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_in_two_parts_gives_what_it_gives_in_one(name: str) -> None:
    model = model_of(CELLS[name]).eval()
    tokens = tokens_of(7, 3)
    logits, states = model(tokens)
    first, between = model(tokens[:3])
    second, after = model(tokens[3:], between)
    torch.testing.assert_close(torch.cat([first, second]), logits)
    torch.testing.assert_close(after, states)
    assert not torch.allclose(model(tokens[3:])[0], second)


def test_sequences_of_a_batch_do_not_meet() -> None:
    model = model_of(CELLS["gru"]).eval()
    tokens = tokens_of(5, 4)
    logits, _ = model(tokens)
    for column in range(4):
        alone, _ = model(tokens[:, column : column + 1])
        torch.testing.assert_close(alone, logits[:, column : column + 1])


def test_no_output_depends_on_a_later_token() -> None:
    model = model_of(CELLS["lstm"]).eval()
    tokens = tokens_of(6, 2)
    changed = tokens.clone()
    changed[4] = (changed[4] + 1) % V
    before, after = model(tokens)[0], model(changed)[0]
    torch.testing.assert_close(before[:4], after[:4])
    assert not torch.allclose(before[4:], after[4:])


@pytest.mark.parametrize(("length", "batch"), [(1, 1), (1, 4), (5, 1)])
def test_one_token_and_one_sequence_are_enough(length: int, batch: int) -> None:
    model = model_of(CELLS["lstm"])
    logits, states = model(tokens_of(length, batch))
    assert logits.shape == (length, batch, V)
    assert [[tuple(s.shape) for s in layer] for layer in states] == [
        [(batch, width)] * 2 for width in (H, H, E)
    ]


def test_states_start_at_zero() -> None:
    model = model_of(CELLS["lstm"])
    states = model.initial_state(3)
    assert [[tuple(s.shape) for s in layer] for layer in states] == [
        [(3, width)] * 2 for width in (H, H, E)
    ]
    assert not any(s.any() for layer in states for s in layer)
    torch.testing.assert_close(model(tokens_of(4, 3), states), model(tokens_of(4, 3)))


def test_a_model_may_have_one_layer_as_wide_as_the_embedding() -> None:
    model = model_of(CELLS["rnn"], layers=1)
    assert len(model.layers) == 1
    outputs, _ = model.encode(tokens_of(4, 2))
    assert outputs.shape == (4, 2, E)


def test_the_decoder_is_tied_to_the_embedding() -> None:
    model = model_of(CELLS["gru"]).eval()
    tokens = tokens_of(5, 2)
    outputs, _ = model.encode(tokens)
    logits, _ = model(tokens)
    torch.testing.assert_close(logits, outputs @ model.embedding.t() + model.decoder_bias)
    # A word that is never read gets its gradient from the decoder alone.
    model(tokens.clamp(max=V - 2))[0][..., V - 1].sum().backward()
    assert model.embedding.grad is not None
    assert model.embedding.grad[V - 1].any()
    assert model.embedding.grad[: V - 1].any()
    assert sum(parameter.shape == (V, E) for parameter in model.parameters()) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_computes_in_the_precision_of_its_weights(dtype: torch.dtype) -> None:
    model = model_of(CELLS["lstm"], Dropout()).to(dtype)
    for mode in (model.train(), model.eval()):
        logits, states = mode(tokens_of(4, 2))
        assert logits.dtype == dtype
        assert {state.dtype for layer in states for state in layer} == {dtype}
    exact = model.double()(tokens_of(4, 2))[0]
    torch.testing.assert_close(logits.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_number_of_parameters_follows_from_the_recipe(layers: int) -> None:
    recipe = recipe_of(CORNER_CELLS["all kinds of linear nodes, each kind twice"])
    inputs = [node.input for node in recipe.nodes.values() if node.op == "linear"]
    from_x = sum(sources.count("x") for sources in inputs)
    others = sum(len(sources) for sources in inputs) - from_x
    widths = [E, *[H] * (layers - 1), E]
    expected = V * E + V
    for before, width in itertools.pairwise(widths):
        expected += width * (from_x * before + others * width + len(inputs))
    model = model_of(recipe, layers=layers)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_sizes_and_rates_are_the_published_ones_by_default() -> None:
    with torch.device("meta"):
        model = RecurrentLanguageModel(CELLS["rnn"].to_dict(), V)
    assert model.embedding.shape == (V, 400)
    assert [layer.hidden_size for layer in model.layers] == [600, 600, 400]
    assert model.dropout == Dropout(embedding=0.1, input=0.4, between=0.25, output=0.4, weight=0.5)


def test_weights_can_be_saved_and_loaded() -> None:
    model, other = model_of(CELLS["lstm"]), model_of(CELLS["lstm"])
    fill(other, seed=5)
    tokens = tokens_of(4, 2)
    assert not torch.allclose(model(tokens)[0], other(tokens)[0])
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(tokens), other(tokens))


def test_a_copy_is_complete_and_stands_alone() -> None:
    model = model_of(CELLS["gru"])
    tokens = tokens_of(4, 2)
    before = model(tokens)
    twin = copy.deepcopy(model)
    torch.testing.assert_close(twin(tokens), before)
    fill(twin, seed=5)
    assert not torch.allclose(twin(tokens)[0], before[0])
    torch.testing.assert_close(model(tokens), before)


def test_the_file_needs_nothing_but_torch() -> None:
    # Exported models carry it to places where archscout is not installed.
    imported = set()
    for statement in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(statement, ast.Import):
            imported |= {name.name.split(".")[0] for name in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0
            imported.add(str(statement.module).split(".")[0])
    assert imported - sys.stdlib_module_names == {"torch"}


# Dropout


def test_evaluation_is_deterministic_and_drops_nothing() -> None:
    tokens = tokens_of(6, 3)
    model = model_of(CELLS["lstm"], Dropout(0.5, 0.5, 0.5, 0.5, 0.5)).eval()
    torch.testing.assert_close(model(tokens), model(tokens), rtol=0, atol=0)
    torch.testing.assert_close(model(tokens), model_of(CELLS["lstm"])(tokens))
    model.train()
    assert not torch.allclose(model(tokens)[0], model(tokens)[0])


def test_rates_of_zero_drop_nothing_in_training() -> None:
    tokens = tokens_of(6, 3)
    model = model_of(CELLS["lstm"], NONE)
    torch.testing.assert_close(model.train()(tokens), model.eval()(tokens))


def test_locked_dropout_drops_the_same_units_at_every_step() -> None:
    torch.manual_seed(0)
    x = numbers(9, 40, 50)
    mask = locked_dropout(x, 0.2) / x
    torch.testing.assert_close(mask, mask[:1].expand_as(mask))
    kept = mask[0] != 0
    torch.testing.assert_close(mask[0][kept], torch.full_like(mask[0][kept], 1 / 0.8))
    assert abs(kept.double().mean() - 0.8) < 0.05
    assert len(kept.unique(dim=0)) > 1
    assert torch.equal(locked_dropout(x, 0.0), x)


def test_word_dropout_drops_whole_words() -> None:
    torch.manual_seed(0)
    table = numbers(2000, 3)
    mask = word_dropout(table, 0.2) / table
    torch.testing.assert_close(mask, mask[:, :1].expand_as(mask))
    kept = mask[:, 0] != 0
    torch.testing.assert_close(mask[kept], torch.full_like(mask[kept], 1 / 0.8))
    assert abs(kept.double().mean() - 0.8) < 0.05
    assert torch.equal(word_dropout(table, 0.0), table)


def seen(model: RecurrentLanguageModel, tokens: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What enters and what leaves each layer in one pass."""
    entering: list[Tensor] = []
    leaving: list[Tensor] = []

    def look(_: nn.Module, inputs: Any, outputs: Any) -> None:
        entering.append(inputs[0].detach())
        leaving.append(outputs[0].detach())

    hooks = [layer.register_forward_hook(look) for layer in model.layers]
    model(tokens)
    for hook in hooks:
        hook.remove()
    return entering, leaving


def is_dropout(dropped: Tensor, x: Tensor, rate: float) -> bool:
    """Whether some numbers were dropped and the others scaled up."""
    zero = dropped == 0
    torch.testing.assert_close(dropped[~zero], x[~zero] / (1 - rate))
    return bool(zero.any() and not zero.all())


def test_embedding_dropout_drops_a_word_wherever_it_stands() -> None:
    torch.manual_seed(0)
    model = model_of(CELLS["rnn"], Dropout(0.5, 0, 0, 0, 0))
    tokens = tokens_of(9, 8)
    entering, _ = seen(model, tokens)
    embedded = F.embedding(tokens, model.embedding).detach()
    assert is_dropout(entering[0], embedded, 0.5)
    gone = (entering[0] == 0).all(-1)
    assert torch.equal(gone, (entering[0] == 0).any(-1))
    assert not set(tokens[gone].tolist()) & set(tokens[~gone].tolist())
    # The decoder keeps all words.
    outputs = seen(model.eval(), tokens)[1][-1]
    torch.testing.assert_close(
        model(tokens)[0], F.linear(outputs, model.embedding, model.decoder_bias)
    )


def test_input_dropout_is_locked_and_acts_before_the_first_layer_only() -> None:
    torch.manual_seed(0)
    model = model_of(CELLS["rnn"], Dropout(0, 0.5, 0, 0, 0))
    tokens = tokens_of(9, 8)
    entering, leaving = seen(model, tokens)
    assert is_dropout(entering[0], F.embedding(tokens, model.embedding).detach(), 0.5)
    zero = entering[0] == 0
    assert torch.equal(zero, zero[:1].expand_as(zero))
    for outputs, inputs in zip(leaving, entering[1:], strict=False):
        assert torch.equal(outputs, inputs)


def test_dropout_between_layers_is_locked_and_acts_there_only() -> None:
    torch.manual_seed(0)
    model = model_of(CELLS["rnn"], Dropout(0, 0, 0.5, 0, 0))
    tokens = tokens_of(9, 8)
    entering, leaving = seen(model, tokens)
    assert torch.equal(entering[0], F.embedding(tokens, model.embedding).detach())
    for outputs, inputs in zip(leaving, entering[1:], strict=False):
        assert is_dropout(inputs, outputs, 0.5)
        zero = inputs == 0
        assert torch.equal(zero, zero[:1].expand_as(zero))
    torch.manual_seed(3)
    logits = model(tokens)[0]
    torch.manual_seed(3)
    outputs, _ = model.encode(tokens)
    torch.testing.assert_close(logits, F.linear(outputs, model.embedding, model.decoder_bias))


def test_output_dropout_is_locked_and_acts_before_the_decoder_only() -> None:
    torch.manual_seed(0)
    model = model_of(CELLS["rnn"], Dropout(0, 0, 0, 0.5, 0))
    # With as many words as units and the identity for an embedding, logits are outputs.
    model.embedding.data = torch.eye(E, dtype=torch.double)
    model.decoder_bias.data = torch.zeros(E, dtype=torch.double)
    tokens = tokens_of(9, 8) % E
    outputs = model.encode(tokens)[0].detach()
    torch.testing.assert_close(outputs, model.eval().encode(tokens)[0])
    dropped = model.train()(tokens)[0].detach()
    assert is_dropout(dropped, outputs, 0.5)
    zero = dropped == 0
    assert torch.equal(zero, zero[:1].expand_as(zero))


def test_weight_drop_drops_single_weights_for_a_whole_sequence() -> None:
    torch.manual_seed(0)
    layer = layer_of({"h_new_0": ("linear", ["x", "h_prev_0"])}, width=20)
    node = layer.linear["h_new_0"]
    node.bias.data.zero_()
    # Feeding the rows of the identity shows the transposed weights, and their powers.
    once, twice, thrice = layer(
        torch.zeros(3, 20, E, dtype=torch.double), (torch.eye(20, dtype=torch.double),), 0.5
    )[0].detach()
    assert is_dropout(once, node.weights[1].detach().t(), 0.5)
    assert abs((once == 0).double().mean() - 0.5) < 0.15
    torch.testing.assert_close(twice, once @ once)
    torch.testing.assert_close(thrice, once @ once @ once)
    again = layer(
        torch.zeros(1, 20, E, dtype=torch.double), (torch.eye(20, dtype=torch.double),), 0.5
    )[0][0]
    assert not torch.equal(again, once)


def test_weight_drop_spares_weights_that_read_the_input_or_a_node() -> None:
    layer = layer_of(
        {
            "a": ("linear", ["x"]),
            "b": ("activation_tanh", ["a"]),
            "c": ("linear", ["b", "x"]),
            "d": ("linear", ["c"]),
            "h_new_0": ("elementwise_sum", ["d", "h_prev_0"]),
        }
    )
    state = (numbers(3, H),)
    torch.testing.assert_close(layer(numbers(4, 3, E), state, 0.9), layer(numbers(4, 3, E), state))


@pytest.mark.parametrize("source", ["h_prev_0", "h_prev_1"])
def test_weight_drop_acts_on_weights_of_every_previous_state(source: str) -> None:
    torch.manual_seed(0)
    layer = layer_of(
        {
            "a": ("linear", ["x", source]),
            "h_new_0": ("activation_tanh", ["a"]),
            "h_new_1": ("activation_sigm", ["a"]),
        }
    )
    zero, states = layer.initial_state(3), (numbers(3, H), numbers(3, H, seed=9))
    x = numbers(1, 3, E)
    torch.testing.assert_close(layer(x, zero, 0.5), layer(x, zero))
    assert not torch.allclose(layer(x, states, 0.5)[0], layer(x, states)[0])


def test_weight_drop_of_the_model_acts_in_every_layer_in_training_only() -> None:
    torch.manual_seed(0)
    model = model_of(CELLS["rnn"], Dropout(0, 0, 0, 0, 0.5))
    tokens = tokens_of(5, 3)
    for layer in model.layers:
        plain = layer.forward
        rates: list[float] = []

        def watched(*arguments: Any, plain: Any = plain, rates: list[float] = rates) -> Any:
            rates.append(arguments[2])
            return plain(*arguments)

        layer.forward = watched  # type: ignore[method-assign]
        model.train()(tokens)
        model.eval()(tokens)
        assert rates == [0.5, 0.0]


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_network_can_be_sent_to_another_process(cell: Recipe) -> None:
    model = model_of(cell)
    sent = pickle.loads(pickle.dumps(model))
    tokens = torch.arange(6).view(3, 2)
    assert torch.equal(sent.encode(tokens)[0], model.encode(tokens)[0])
