"""The norm of the gradient, against plain autograd."""

import math

import pytest
import torch
from torch import nn

from small_networks import NETWORKS, VECTORS, dead, of_module, perceptron


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_sum_of_the_norms_of_the_gradients(name: str) -> None:
    small = NETWORKS[name]()
    expected = sum(float(gradient.square().sum().sqrt()) for gradient in small.gradients())
    assert small.measure("gradient_norm") == pytest.approx(expected, rel=1e-9)


def test_a_batch_of_every_input_twice_has_twice_the_gradient() -> None:
    module = perceptron().module
    once = of_module(module, VECTORS).measure("gradient_norm")
    twice = of_module(module, torch.cat([VECTORS, VECTORS], 1)).measure("gradient_norm")
    assert twice == pytest.approx(2 * once)


def test_only_the_last_map_of_a_dead_network_has_a_gradient_if_any() -> None:
    assert dead(perceptron(nn.ReLU, bias=False)).measure("gradient_norm") == 0


def test_exploding_gradients_are_passed_on() -> None:
    small = perceptron(nn.ReLU)
    for weight in small.weights:
        nn.init.constant_(weight, 1e200)
    assert not math.isfinite(small.measure("gradient_norm"))
