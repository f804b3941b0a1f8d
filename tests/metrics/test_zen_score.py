"""Zen-score on outputs written by hand and on networks whose differences are known."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import InputError
from archscout.metrics.zen_score import zen_score
from archscout.recorders.modules import ModuleRecorder
from archscout.recording import Recording
from archscout.tracing import Trace, trace


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
def test_of_a_space(name: str, text: Path) -> None:
    space = archscout.spaces.get(name)
    scorer = archscout.Scorer(space, text, metrics=["zen_score"])
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


class Pooled(nn.Module):
    """The features of the last step alone, or their sum."""

    def __init__(self, summed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.last, self.summed = nn.Embedding(9, 5), nn.Linear(5, 3), summed

    def forward(self, tokens: Tensor) -> Tensor:
        features = self.last(self.embedding(tokens)[-1])
        return features.sum(-1) if self.summed else features


def test_the_mean_is_over_inputs_whatever_the_axes_of_the_output() -> None:
    before, after = outputs()
    pooled = Trace(0, torch.zeros(5, 3), gaussian_outputs=(before[-1], after[-1]))
    assert zen_score(pooled) == pytest.approx(zen_score(of(before[-1:], after[-1:])))
    for summed in (False, True):
        score = archscout.score_module(Pooled(summed), TOKENS, ["zen_score"], batch_first=False)
        assert math.isfinite(score["zen_score"])


class InPlace(nn.Module):
    """A linear map of tokens, scaled or doubled in place."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.last, self.in_place = nn.Embedding(9, 5), nn.Linear(5, 3), in_place

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.embedding(tokens)
        if self.in_place:
            vectors.mul_(2)
        else:
            vectors = vectors * 2
        return self.last(vectors)


def test_operations_in_place_do_not_reach_the_random_numbers() -> None:
    scores = [
        archscout.score_module(InPlace(in_place), TOKENS, ["zen_score"])["zen_score"]
        for in_place in (False, True, True, False)
    ]
    assert len(set(scores)) == 1


def test_a_recorder_that_changes_its_embeddings_is_given_copies() -> None:
    class Spoiling(ModuleRecorder):
        def record(self, minibatch: Tensor, wanted: frozenset[str], **settings: Any) -> Recording:
            recording = super().record(minibatch, wanted, **settings)
            settings["embeddings"].zero_()
            return recording

    found = []
    for kind in (ModuleRecorder, Spoiling, Spoiling):
        with kind(linear()).given(TOKENS) as recorder:
            found.append(trace(recorder, TOKENS.t(), {"gaussian_outputs"}).gaussian_outputs)
    for pair in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], pair, strict=True))
