"""Zen-score on outputs written by hand and on networks whose differences are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import InputError
from archscout.metrics import Trace
from archscout.metrics.zen import zen_score


def of(outputs: Tensor, moved: Tensor) -> Trace:
    """A trace with these outputs, (T, B, E), at Gaussian inputs and beside them."""
    return Trace(0, torch.zeros(outputs.shape[:2]), gaussian_outputs=(outputs, moved))


def outputs() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(5, 3, 4, generator=rng), torch.randn(5, 3, 4, generator=rng)


def test_it_is_the_logarithm_of_the_mean_distance_between_outputs() -> None:
    before, after = outputs()
    distances = [np.abs((before - after)[:, b].numpy()).sum() for b in range(3)]
    assert zen_score(of(before, after)) == pytest.approx(math.log(np.mean(distances)))


def test_it_grows_by_the_logarithm_of_a_factor_and_ignores_a_shift() -> None:
    before, after = outputs()
    score = zen_score(of(before, after))
    assert zen_score(of(3 * before, 3 * after)) == pytest.approx(score + math.log(3))
    assert zen_score(of(before + 2, after + 2)) == pytest.approx(score)


def test_outputs_that_do_not_depend_on_inputs_have_none() -> None:
    before, _ = outputs()
    assert zen_score(of(before, before)) == -math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_outputs_that_are_not_finite_have_none(value: float) -> None:
    before, after = outputs()
    after[0, 1, 2] = value
    assert not math.isfinite(zen_score(of(before, after)))


def linear(factor: float = 1.0, outputs: int = 5) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(9, 40), nn.Linear(40, outputs))
    with torch.no_grad():
        network[1].weight.mul_(factor)
    return network


TOKENS = torch.arange(8).view(2, 4)


def test_a_linear_networks_score_is_that_of_the_noise_alone() -> None:
    network = linear(outputs=400)
    weight = network[1].weight.detach()
    score = archscout.score_module(network, TOKENS, ["zen_score"])["zen_score"]
    # The mean of |w . 0.01 ε| is 0.01 ‖w‖ √(2 / π), for each output's w and each of 4 positions.
    expected = 4 * 0.01 * math.sqrt(2 / math.pi) * float(weight.norm(dim=1).sum())
    assert score == pytest.approx(math.log(expected), abs=0.3)
    scaled = archscout.score_module(linear(2.0, 400), TOKENS, ["zen_score"])["zen_score"]
    assert scaled == pytest.approx(score + math.log(2), abs=1e-3)


def test_text_does_not_matter_and_the_seed_does() -> None:
    def score(tokens: Tensor, seed: int = 0) -> float:
        return archscout.score_module(linear(), tokens, ["zen_score"], seed=seed)["zen_score"]

    assert score(TOKENS) == score(TOKENS.flip(1))
    assert score(TOKENS) != score(TOKENS, seed=1)


def test_a_dead_network_has_none() -> None:
    score = archscout.score_module(linear(0.0), TOKENS, ["zen_score"])
    assert score["zen_score"] == -math.inf
    assert score.problem is not None and "does not depend on its input" in score.problem


@pytest.mark.parametrize("name", ["rnn", "flexibert"])
def test_of_a_space(name: str) -> None:
    space = archscout.spaces.get(name)
    scorer = archscout.Scorer(space, metrics=["zen_score"])
    scores = [scorer.score(space.sample(seed))["zen_score"] for seed in range(3)]
    assert all(map(math.isfinite, scores)) and len(set(scores)) == 3


def test_a_module_without_embeddings_says_so() -> None:
    batch = torch.arange(6).view(2, 3)
    with pytest.raises(InputError, match=r"zen_score does not apply.*no torch\.nn\.Embedding"):
        archscout.score_module(Counting(), batch, ["zen_score"])


class Counting(nn.Module):
    """Takes integers and has no embedding."""

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers[..., None].float()
