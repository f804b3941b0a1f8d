"""The tangent kernel, against the gradients of each input by itself."""

import math

import pytest
import torch
from torch import Tensor, nn
from transformers import AlbertConfig, AlbertModel, GPT2Config, GPT2Model

from archscout import InputError, score_module
from archscout.recorders.choice import recorded
from archscout.tracing import trace
from small_networks import NETWORKS, VECTORS, B, Small, T, dead, of_module, perceptron


def kernel(small: Small) -> Tensor:
    rows = torch.cat([gradients.flatten(1) for gradients in small.by_input()], 1)
    return rows @ rows.t()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_kernel_is_that_of_the_gradients_of_each_input(name: str) -> None:
    small = NETWORKS[name]()
    found = small.trace("tangent_kernel").tangent_kernel
    assert found is not None and found.dtype == torch.float64
    torch.testing.assert_close(found, kernel(small), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_condition_number_is_the_ratio_of_its_eigenvalues(name: str) -> None:
    small = NETWORKS[name]()
    eigenvalues = torch.linalg.eigvalsh(kernel(small))
    expected = float(eigenvalues[-1] / eigenvalues[0])
    assert small.measure("ntk_condition_number") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "config"),
    [(GPT2Model, GPT2Config), (AlbertModel, AlbertConfig)],
    ids=["fused and transposed maps", "shared layers"],
)
def test_of_models_of_transformers(model: type[nn.Module], config: type) -> None:
    torch.manual_seed(0)
    names = (
        {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 8}
        if config is GPT2Config
        else {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 12, "embedding_size": 6}
    )  # fmt: skip
    network = model(config(vocab_size=20, **names)).double()
    tokens = torch.randint(0, 20, (3, 5))
    with recorded(network, tokens) as recorder:
        found = trace(recorder, recorder.minibatch, {"tangent_kernel"}).tangent_kernel
        weights = recorder.linear_parameters()
        rows = []
        for b in range(3):
            objective = network(tokens)[0][b].sum()
            gradients = torch.autograd.grad(objective, weights)
            rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    assert found is not None
    each = torch.stack(rows)
    torch.testing.assert_close(found, each @ each.t(), rtol=1e-8, atol=1e-20)


def test_the_order_of_inputs_and_the_scale_of_the_objective_do_not_matter() -> None:
    module = perceptron().module
    before = of_module(module, VECTORS).measure("ntk_condition_number")
    turned = of_module(module, VECTORS.flip(1)).measure("ntk_condition_number")
    with torch.no_grad():
        module.last.weight *= 3
        module.last.bias *= 3
    assert turned == pytest.approx(before)
    scaled = of_module(nn.Sequential(nn.Linear(6, 3), nn.Tanh()), VECTORS)
    once = scaled.measure("ntk_condition_number")
    assert scaled.measure("ntk_condition_number", objective="cotangent") != once


def test_two_inputs_that_are_the_same_make_it_infinite() -> None:
    module = perceptron().module.float()
    batch = VECTORS.float().clone()
    batch[:, 1] = batch[:, 0]
    found = score_module(module, batch, ["ntk_condition_number"], batch_first=False)
    assert found["ntk_condition_number"] == math.inf
    assert found.problem is not None and "the kernel is singular" in found.problem


def test_of_a_dead_network_it_is_infinite() -> None:
    assert dead(perceptron(nn.ReLU, bias=False)).measure("ntk_condition_number") == math.inf


def test_of_an_exploding_network_it_is_no_number() -> None:
    small = perceptron(nn.ReLU)
    for weight in small.weights:
        nn.init.constant_(weight, 1e200)
    assert math.isnan(small.measure("ntk_condition_number"))


def test_of_one_input_there_is_none() -> None:
    module, batch = perceptron().module.float(), VECTORS[:, :1].float()
    found = score_module(module, batch, ["ntk_condition_number"], batch_first=False)
    assert math.isnan(found["ntk_condition_number"])
    assert found.problem is not None and "one input only" in found.problem


class Flattens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.linear(vectors.flatten(0, 1)).view(T, B, 3)


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors @ self.linear.weight.t()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Hidden(), "what a linear map inside its Hidden multiplies cannot be seen by input"),
        (nn.LSTM(6, 3, bidirectional=True), "states of bidirectional recurrent modules are not"),
        (nn.Tanh(), "no linear map took part in its forward"),
    ],
)
def test_where_inputs_cannot_be_told_apart_it_is_refused(module: nn.Module, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        score_module(module, VECTORS.float(), ["ntk_condition_number"], batch_first=False)
    # Of every metric, this one is left out.
    found = score_module(module, VECTORS.float(), batch_first=False)
    assert "ntk_condition_number" in found.inapplicable


def test_inputs_are_told_apart_where_positions_are_flattened() -> None:
    module = Flattens()
    found = score_module(module, VECTORS.float(), ["ntk_condition_number"], batch_first=False)
    expected = score_module(
        module.linear, VECTORS.float(), ["ntk_condition_number"], batch_first=False
    )
    assert found.scores == pytest.approx(expected.scores)


def test_a_module_that_sees_one_vector_an_input() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(6, 4), nn.Linear(4, 2)

        def forward(self, vectors: Tensor) -> Tensor:
            return self.head(self.rnn(vectors)[0][-1])[None]

    small = of_module(Last(), VECTORS)
    found = small.trace("tangent_kernel").tangent_kernel
    torch.testing.assert_close(found, kernel(small), rtol=1e-9, atol=1e-12)
