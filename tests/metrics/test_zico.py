"""ZiCo, against numpy on the gradients of each input by itself."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from archscout import score_module
from small_networks import NETWORKS, VECTORS, Small, dead, of_module, perceptron


def by_definition(small: Small) -> float:
    total = 0.0
    for gradients in small.by_input():
        each = gradients.detach().numpy()
        deviation = each.std(0)
        varying = deviation > 1e-15 * np.abs(each).mean(0)
        ratios = np.abs(each).mean(0)[varying] / deviation[varying]
        total += math.log(ratios.sum()) if varying.any() else 0.0
    return total


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_sum_of_logarithms_of_signal_to_noise(name: str) -> None:
    small = NETWORKS[name]()
    assert small.measure("zico") == pytest.approx(by_definition(small), rel=1e-6)


# The last ones are squared beyond the range of float64.
@pytest.mark.parametrize("factor", [5, 1e-200, 1e200])
def test_the_scale_of_gradients_does_not_matter(factor: float) -> None:
    module = perceptron(nn.ReLU, bias=False).module
    before = of_module(module, VECTORS).measure("zico")
    with torch.no_grad():
        module.last.weight *= factor
    assert of_module(module, VECTORS).measure("zico") == pytest.approx(before)


def test_gradients_that_do_not_vary_are_left_out() -> None:
    module = perceptron().module
    same = VECTORS[:, :1].expand(-1, 4, -1).contiguous()
    assert of_module(module, same).measure("zico") == 0
    assert dead(perceptron(nn.ReLU, bias=False)).measure("zico") == 0


def test_less_variation_scores_higher() -> None:
    module = perceptron().module
    near = VECTORS[:, :1] + 0.01 * (VECTORS - VECTORS[:, :1])
    scores = [of_module(module, batch).measure("zico") for batch in (near, VECTORS)]
    assert scores[0] > scores[1]


def test_of_one_input_there_is_none() -> None:
    found = score_module(
        perceptron().module.float(), VECTORS[:, :1].float(), ["zico"], batch_first=False
    )
    assert math.isnan(found["zico"])
    assert found.problem is not None and "one input only" in found.problem


def test_of_an_exploding_network_it_is_no_number() -> None:
    small = perceptron(nn.ReLU)
    for weight in small.weights:
        nn.init.constant_(weight, 1e200)
    assert math.isnan(small.measure("zico"))
