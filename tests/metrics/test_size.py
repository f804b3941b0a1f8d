"""Sizes: what a network's shape alone says."""

from pathlib import Path

import pytest
import torch
from torch import nn

import archscout
from archscout import InputError, counting
from archscout.metrics.depth import depth
from archscout.metrics.depth_times_width import depth_squared_times_width, depth_times_width
from archscout.metrics.flops import flops
from archscout.metrics.width import width
from archscout.runs.search_settings import parse_objective
from archscout.tracing import Trace

NAMES = ("flops", "depth", "width", "depth_times_width", "depth_squared_times_width")


def test_they_are_the_traces_and_their_products() -> None:
    trace = Trace(0, torch.zeros(2, 3), flops=1000, depth=4, width=256)
    assert (flops(trace), depth(trace), width(trace)) == (1000, 4, 256)
    assert depth_times_width(trace) == 1024
    assert depth_squared_times_width(trace) == 4096


def test_of_an_encoder_they_are_layers_and_hidden_size(text: Path) -> None:
    space = archscout.spaces.FlexibertSpace()
    scorer = archscout.Scorer(space, text, metrics=NAMES)
    for seed in range(4):
        genotype = space.sample(seed)
        score = scorer.score(genotype)
        assert score["depth"] == len(genotype.layers)
        assert score["width"] == genotype.hidden_size
        assert score["depth_squared_times_width"] == score["depth"] * score["depth_times_width"]


def test_neither_weights_nor_text_matter(text: Path) -> None:
    space = archscout.spaces.RecurrentSpace()
    cell = space.sample(2)
    one = archscout.Scorer(space, text, metrics=NAMES, seed=0).score(cell)
    other = archscout.Scorer(space, text, metrics=NAMES, seed=5, minibatch_index=1).score(cell)
    assert one.scores == other.scores
    assert all(value > 0 for value in one.scores.values())


def test_of_a_dead_or_exploding_module_they_are_as_before() -> None:
    module = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    tokens = torch.arange(6).view(2, 3)
    expected = archscout.score_module(module, tokens, NAMES).scores
    assert (expected["depth"], expected["width"]) == (2, 4)
    for value in (0.0, float("inf")):
        for parameter in module.parameters():
            nn.init.constant_(parameter, value)
        assert archscout.score_module(module, tokens, NAMES).scores == expected


def test_flops_of_fused_kernels_are_counted() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    vectors = torch.randn(3, 5, 8)
    # By token: projections, attention to five positions and its use, output, feed-forward.
    expected = 2 * (3 * 8 * 8 + 2 * 5 * 8 + 8 * 8 + 2 * 8 * 12)
    found = archscout.score_module(nn.TransformerEncoder(layer, 2), vectors, ["flops"])
    assert found["flops"] == 2 * expected
    assert torch.backends.mha.get_fastpath_enabled()

    class Attention(nn.Module):
        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            heads = vectors[:, None]
            return nn.functional.scaled_dot_product_attention(heads, heads, heads)[:, 0]

    assert archscout.score_module(Attention(), vectors, ["flops"])["flops"] == 2 * 2 * 5 * 8


def test_flops_that_cannot_be_counted_are_no_zero() -> None:
    class Elementwise(nn.Linear):
        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return (vectors[..., None, :] * self.weight).sum(-1)

    vectors = torch.randn(3, 5, 8)
    with pytest.raises(InputError, match="none of what its Elementwise computes could be counted"):
        counting.flops(lambda: Elementwise(8, 4)(vectors))
    with pytest.raises(InputError, match=r"flops does not apply to this module: none of what"):
        archscout.score_module(Elementwise(8, 4), vectors, ["flops"])
    assert counting.flops(lambda: nn.Tanh()(vectors)) == 0


@pytest.mark.parametrize("kind", ["other", "transformer"])
def test_as_an_objective_of_a_search_flops_are_the_cost(kind: str) -> None:
    objective = parse_objective("flops", kind)
    assert objective.direction == "minimize" and objective.request is None
    assert parse_objective("depth", kind).direction == "maximize"
