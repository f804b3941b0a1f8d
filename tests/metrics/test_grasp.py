"""GraSP, against how the gradient's norm changes when all weights shrink."""

import math

import pytest
import torch
from torch import Tensor, nn

from archscout import InputError, score_module
from archscout.spaces.recurrent import RecurrentRecorder
from small_networks import (
    NETWORKS,
    VECTORS,
    Small,
    cell,
    dead,
    encoder,
    finite_difference,
    of_module,
    perceptron,
)


def growth_of_gradient(small: Small) -> float:
    """Half the derivative of the gradient's squared norm as all weights shrink in proportion."""
    before = [weight.detach().clone() for weight in small.weights]

    def half_square(step: float) -> float:
        with torch.no_grad():
            for weight, value in zip(small.weights, before, strict=True):
                weight.copy_(value * (1 - step))
        return sum(float(gradient.square().sum()) for gradient in small.gradients()) / 2

    found = finite_difference(half_square)
    half_square(0)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_it_says_how_the_gradient_would_grow_without_the_weights(name: str) -> None:
    small = NETWORKS[name]()
    expected = growth_of_gradient(small)
    assert small.measure("grasp") == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("objective", ["sum", "cotangent", "loss"])
def test_inputs_in_parts_give_the_same(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cell().measure("grasp", objective=objective)
    monkeypatch.setattr("archscout.spaces.recurrent.recorder._GRAPH_BYTES", 1)
    assert cell().measure("grasp", objective=objective) == pytest.approx(whole, rel=1e-9)


def test_weights_are_left_as_they_were() -> None:
    small = cell()
    RecurrentRecorder(small.module)  # scoring needs no gradients of the weights themselves
    small.measure("grasp")
    assert not any(weight.requires_grad for weight in small.weights)


def test_of_a_linear_network_there_is_none() -> None:
    # The objective is linear in the only weight.
    assert math.isnan(of_module(nn.Linear(6, 3), VECTORS).measure("grasp"))


def test_of_a_dead_network_there_is_none() -> None:
    module = dead(perceptron(nn.ReLU, bias=False)).module
    found = score_module(module, VECTORS, ["grasp"], batch_first=False)
    assert math.isnan(found["grasp"])
    assert found.problem is not None and "Hessian times the gradient is zero" in found.problem


def test_of_an_exploding_network_it_is_not_finite() -> None:
    small = perceptron(nn.ReLU)
    for weight in small.weights:
        nn.init.constant_(weight, 1e150)
    assert not math.isfinite(small.measure("grasp"))


def test_a_sum_that_is_a_constant_is_said_to_be_one() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8))

        def forward(self, vectors: Tensor) -> Tensor:
            return self.layers(vectors)

    found = score_module(Normalised(), VECTORS.float(), ["grasp"])
    assert found.problem is not None and "add up to a constant" in found.problem
    assert encoder().measure("grasp") != 0


def test_a_module_without_linear_maps_is_told_so() -> None:
    with pytest.raises(InputError, match="does not apply to this module: no linear map took part"):
        score_module(nn.Tanh(), VECTORS, ["grasp"])
