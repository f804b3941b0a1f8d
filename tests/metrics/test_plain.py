"""Weights times gradients, against plain autograd and Euler's theorem."""

import math

import pytest
import torch
from torch import nn

from archscout.metrics.plain import plain
from archscout.tracing import Trace, WeightGradient
from small_networks import NETWORKS, dead, perceptron


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_sum_of_weights_times_gradients(name: str) -> None:
    small = NETWORKS[name]()
    pairs = zip(small.weights, small.gradients(), strict=True)
    expected = sum(float((w.detach() * g).sum()) for w, g in pairs)
    assert small.measure("plain") == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_each_layer_of_a_homogeneous_network_gives_what_the_network_gives() -> None:
    # One of the three maps is used twice: its part is of degree two.
    small = perceptron(nn.ReLU, bias=False)
    assert small.measure("plain") == pytest.approx(4 * float(small.output().detach().sum()))


def test_it_is_no_more_than_snip() -> None:
    for make in NETWORKS.values():
        small = make()
        assert abs(small.measure("plain")) <= small.measure("snip")


def test_of_dead_weights_it_is_zero() -> None:
    assert dead(perceptron()).measure("plain") == 0


def test_of_infinite_gradients_of_both_signs_it_is_none() -> None:
    weight = torch.ones(1, 1)
    maps = [WeightGradient(weight, torch.tensor([[sign * math.inf]])) for sign in (1, -1)]
    assert math.isnan(plain(Trace(0, torch.zeros(1, 1), weight_gradients=maps)))
