"""SNIP, against plain autograd and its laws."""

import math

import pytest
import torch
from torch import nn

from archscout import InputError, score_module
from archscout.metrics import available
from small_networks import NETWORKS, VECTORS, B, T, dead, encoder, of_module, perceptron


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_sum_of_the_magnitudes_of_weights_times_gradients(name: str) -> None:
    small = NETWORKS[name]()
    pairs = zip(small.weights, small.gradients(), strict=True)
    expected = sum(float((w.detach() * g).abs().sum()) for w, g in pairs)
    assert small.measure("snip") == pytest.approx(expected, rel=1e-9)


def test_it_is_synaptic_saliency_of_networks_that_are_no_transformers() -> None:
    for name in ("perceptron", "recurrent modules", "gru"):
        small = NETWORKS[name]()
        assert small.measure("snip") == small.measure("synaptic_saliency")
    small = encoder()
    assert small.measure("snip") > small.measure("synaptic_saliency")


def test_its_direction_is_that_of_the_paper() -> None:
    assert available()["snip"].larger_is_better
    assert not available()["synaptic_saliency"].larger_is_better


def test_moving_scale_from_one_layer_to_the_next_does_not_matter() -> None:
    small = perceptron(nn.ReLU, bias=False)
    before = small.measure("snip")
    with torch.no_grad():
        small.module.first.weight *= 7
        small.module.last.weight /= 7
    assert small.measure("snip") == pytest.approx(before)


def test_of_dead_weights_it_is_zero() -> None:
    for name in ("perceptron", "gru", "encoder"):
        assert dead(NETWORKS[name]()).measure("snip") == 0


def test_of_exploding_weights_it_is_not_finite_and_that_is_said() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    for parameter in module.parameters():
        nn.init.constant_(parameter, 1e30)
    found = score_module(module, torch.ones(B, T, 6), ["snip"])
    assert not math.isfinite(found["snip"])
    assert found.problem is not None and "weights or their gradients" in found.problem


def test_a_module_without_linear_maps_is_told_so() -> None:
    with pytest.raises(InputError, match="snip does not apply to this module: no linear map"):
        score_module(nn.Tanh(), VECTORS, ["snip"])


def test_a_constant_network_scores_zero() -> None:
    small = of_module(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), VECTORS)
    with torch.no_grad():
        small.module[0].bias.fill_(-1e3)
    assert small.measure("snip") == 0
