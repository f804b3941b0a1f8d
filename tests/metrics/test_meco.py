"""MeCo against numpy, on activations whose correlations are known and on small networks."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import InputError
from archscout.metrics.meco import meco, meco_opt
from archscout.tracing import Trace


def of(*activations: Tensor) -> Trace:
    """A trace with these activations, (T, B, H) each."""
    return Trace(0, torch.zeros(activations[0].shape[:2]), activations=list(activations))


def random_activations(*sizes: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(20, 3, size, generator=rng) for size in sizes]


def smallest_eigenvalue(outputs: Tensor) -> float:
    """Of the correlations between units, from outputs (T, B, H)."""
    units = outputs.double().reshape(-1, outputs.shape[-1]).t()
    return float(np.linalg.eigvalsh(np.corrcoef(units.numpy()))[0])


def test_it_is_the_sum_of_the_smallest_eigenvalues() -> None:
    activations = random_activations(6, 30)
    expected = sum(smallest_eigenvalue(outputs) for outputs in activations)
    assert meco(of(*activations)) == pytest.approx(expected, rel=1e-9)


def test_uncorrelated_units_have_the_largest_and_repeated_ones_none() -> None:
    units = torch.linalg.qr(torch.randn(60, 4, dtype=torch.float64))[0]
    units = torch.linalg.qr(units - units.mean(0))[0].view(20, 3, 4)
    assert meco(of(units)) == pytest.approx(1)
    repeated = torch.cat([units, 2 * units[..., :1] + 1], -1)
    assert meco(of(repeated)) == pytest.approx(0, abs=1e-12)


def test_scale_and_shift_of_a_unit_do_not_matter() -> None:
    (outputs,) = random_activations(6)
    moved = outputs * torch.tensor([1.0, 2, 3, -1, 0.5, 9]) + torch.arange(6)
    assert meco(of(moved)) == pytest.approx(meco(of(outputs)), rel=1e-5)


def test_eight_units_stand_for_all() -> None:
    few, many = random_activations(6, 24)
    assert meco_opt(of(few)) == pytest.approx(meco(of(few)))
    chosen = torch.randperm(24, generator=torch.Generator().manual_seed(0))[:8]
    expected = 24 / 8 * smallest_eigenvalue(many[..., chosen])
    assert meco_opt(of(many)) == pytest.approx(expected, rel=1e-9)
    assert meco_opt(of(few, many)) == pytest.approx(meco(of(few)) + expected, rel=1e-9)
    assert meco_opt(of(many)) == meco_opt(of(many))


def test_a_layer_of_more_units_than_positions_counts_nothing() -> None:
    few, wide = random_activations(6, 60)
    assert meco(of(few, wide)) == meco(of(few))
    assert meco_opt(of(wide)) > 0


def test_a_unit_that_does_not_vary_makes_its_layer_count_nothing() -> None:
    live, dead = random_activations(6, 5)
    dead[..., 2] = 0.1
    assert meco(of(live, dead)) == meco(of(live))
    assert meco_opt(of(dead)) == 0


def test_activations_that_are_not_finite_have_none() -> None:
    (outputs,) = random_activations(6)
    outputs[3, 1, 4] = math.inf
    assert math.isnan(meco(of(outputs))) and math.isnan(meco_opt(of(outputs)))


def test_of_a_module() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(50, 6), nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4))
    tokens = torch.randint(0, 50, (4, 30))
    outputs = network[:3](tokens).detach()
    score = archscout.score_module(network, tokens, ["meco", "meco_opt"])
    assert score["meco"] == pytest.approx(smallest_eigenvalue(outputs), rel=1e-4)
    nn.init.zeros_(network[1].weight)
    assert archscout.score_module(network, tokens, ["meco"])["meco"] == 0


@pytest.mark.parametrize("name", ["rnn", "flexibert"])
def test_of_a_space(name: str, text: Path) -> None:
    space = archscout.spaces.get(name)
    scorer = archscout.Scorer(space, text, metrics=["meco", "meco_opt"])
    score = scorer.score(space.sample(1))
    assert score.problem is None
    assert score["meco"] >= 0 and score["meco_opt"] > 0


def test_a_module_without_activations_says_so() -> None:
    with pytest.raises(InputError, match=r"meco does not apply.*no activation modules"):
        archscout.score_module(nn.Linear(3, 4), torch.randn(5, 2, 3), ["meco"])
