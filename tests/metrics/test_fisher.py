"""Fisher information, against activations and their gradients by plain autograd."""

import math

import pytest
import torch
from torch import Tensor, nn

from archscout import InputError, score_module
from small_networks import TOKENS, VECTORS, Small, cell, dead, encoder, perceptron


def information(activations: list[Tensor], objective: Tensor) -> float:
    """Of activations (T, B, H)."""
    gradients = torch.autograd.grad(objective, activations)
    total = 0.0
    for values, gradient in zip(activations, gradients, strict=True):
        for b in range(values.shape[1]):
            for channel in range(values.shape[2]):
                product = values[:, b, channel] @ gradient[:, b, channel]
                total += float(product) ** 2
    return total


def of_modules(small: Small, kind: type[nn.Module], time_first: bool) -> float:
    seen: list[Tensor] = []
    for parameter in small.module.parameters():
        parameter.requires_grad_(True)
    hooks = [
        module.register_forward_hook(lambda _m, _i, output: seen.append(output))
        for module in small.module.modules()
        if isinstance(module, kind)
    ]
    objective = small.loss()
    for hook in hooks:
        hook.remove()
    gradients = torch.autograd.grad(objective, seen)
    axis = 0 if time_first else 1
    return sum(
        float((values.detach() * gradient).sum(axis).square().sum())
        for values, gradient in zip(seen, gradients, strict=True)
    )


def test_of_a_module() -> None:
    small = perceptron()
    assert small.measure("fisher") == pytest.approx(of_modules(small, nn.Tanh, True), rel=1e-9)


def test_of_an_encoder() -> None:
    small = encoder()
    assert small.measure("fisher") == pytest.approx(of_modules(small, nn.GELU, False), rel=1e-9)


@pytest.mark.parametrize("name", ["gru", "lstm", "3"])
def test_of_a_recurrent_cell(name: str) -> None:
    small = cell(name)
    found = small.measure("fisher")
    model = small.module.requires_grad_(True)
    outputs = model.embedding[TOKENS]
    steps = []
    for layer in model.recurrent_layers:
        states = layer.initial_state(TOKENS.shape[1])
        affine, names = layer.affine(outputs), layer.wiring.activations
        unrolled = layer.unroll(layer.steps(affine), states, names)
        steps += list(unrolled.values.values())
        outputs = torch.stack(unrolled.outputs)
    flat = [step for values in steps for step in values]
    gradients = torch.autograd.grad(outputs.sum(), flat, materialize_grads=True)
    expected = 0.0
    for i, values in enumerate(steps):
        products = [v * g for v, g in zip(values, gradients[i * len(values) :], strict=False)]
        expected += torch.stack(products).sum(0).square().sum().item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_every_input_counts_by_itself() -> None:
    small = perceptron()
    whole = small.measure("fisher")
    module = small.module
    parts = [
        score_module(module, VECTORS[:, b : b + 1], ["fisher"], batch_first=False)["fisher"]
        for b in range(VECTORS.shape[1])
    ]
    assert sum(parts) == pytest.approx(whole)


def test_parts_of_the_inputs_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cell().measure("fisher")
    monkeypatch.setattr("archscout.spaces.recurrent.recorder._GRAPH_BYTES", 1)
    assert cell().measure("fisher") == pytest.approx(whole)


def test_of_a_dead_network_it_is_zero() -> None:
    assert dead(perceptron()).measure("fisher") == 0


def test_of_an_exploding_network_it_is_not_finite() -> None:
    small = perceptron(nn.ReLU)
    for weight in small.weights:
        nn.init.constant_(weight, 1e150)
    assert not math.isfinite(small.measure("fisher"))


def test_a_module_without_activations_is_told_so() -> None:
    with pytest.raises(InputError, match="it has no activation modules"):
        score_module(nn.Linear(6, 3).double(), VECTORS, ["fisher"])


def test_modules_that_share_one_input_with_their_activation_are_left_as_they_compute() -> None:
    # An activation in place changes what it was given, and what it returns is handed on.
    plain = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    in_place = nn.Sequential(plain[0], nn.ReLU(inplace=True), plain[2])
    scores = [score_module(m, VECTORS, ["fisher"])["fisher"] for m in (plain, in_place)]
    assert scores[0] == scores[1] > 0
