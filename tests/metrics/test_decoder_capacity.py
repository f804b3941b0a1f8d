"""What decoders of one size differ in."""

import math

import pytest
import torch
from torch import nn

import archscout
from archscout.metrics.decoder_capacity import decoder_capacity
from archscout.metrics.embedding_dimension import embedding_dimension, participation_ratio
from archscout.metrics.non_embedding_parameters import non_embedding_parameters
from archscout.tracing import Trace

NAMES = ("non_embedding_parameters", "embedding_dimension", "decoder_capacity")


class Decoder(nn.Module):
    """Embeddings of some width, projected to 16, before one linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.steps = nn.Embedding(200, width), nn.Embedding(10, 16)
        self.projection, self.layer = nn.Linear(width, 16, bias=False), nn.Linear(16, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layer(
            self.projection(self.tokens(tokens)) + self.steps.weight[: tokens.size(1)]
        )


def test_directions_that_vary_alike_are_counted() -> None:
    plane = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert participation_ratio(plane) == pytest.approx(2)
    assert participation_ratio(plane * torch.tensor([1.0, 0, 1])) == pytest.approx(1)
    # Variances 1 and 1/4: (5/4)² / (17/16).
    assert participation_ratio(plane * torch.tensor([1.0, 0.5, 1])) == pytest.approx(25 / 17)
    assert math.isnan(participation_ratio(torch.ones(4, 3)))


def test_each_token_counts_once() -> None:
    torch.manual_seed(0)
    table = torch.randn(6, 4)
    once = torch.arange(6)[:, None]
    often = torch.tensor([5, 0, 1, 1, 1, 2, 3, 4, 5, 1])[:, None]
    traces = [Trace(0, tokens, embeddings=table[tokens]) for tokens in (once, often)]
    first, second = map(embedding_dimension, traces)
    assert first == pytest.approx(second) == pytest.approx(participation_ratio(table))
    numbers = torch.randn(5, 2, 4)
    found = embedding_dimension(Trace(0, numbers, embeddings=numbers))
    assert found == pytest.approx(participation_ratio(numbers.flatten(0, 1)))


def test_embeddings_without_a_difference_have_none() -> None:
    tokens = torch.arange(5)[:, None]
    trace = Trace(0, tokens, embeddings=torch.ones(5, 1, 3), non_embedding_parameters=9)
    assert math.isnan(embedding_dimension(trace)) and math.isnan(decoder_capacity(trace))
    assert non_embedding_parameters(trace) == 9


def test_tables_of_embeddings_are_no_parameters_of_the_decoder() -> None:
    tokens = torch.arange(40).view(4, 10)
    found = archscout.score_module(Decoder(4), tokens, NAMES).scores
    assert found["non_embedding_parameters"] == 4 * 16 + 16 * 16 + 16
    assert found["decoder_capacity"] == pytest.approx(
        found["non_embedding_parameters"] * found["embedding_dimension"] ** 0.5
    )


def test_a_narrow_embedding_is_a_bottleneck_in_a_wide_decoder() -> None:
    space = archscout.spaces.GptSpace()
    scorer = archscout.Scorer(space, "python-docs", NAMES)
    sizes = {"n_layer": 2, "d_model": 128, "n_head": 4, "d_inner": 256}
    wide, narrow, bands = (
        scorer.score(space.parse(sizes | changes)).scores
        for changes in ({}, {"d_embed": 16}, {"d_embed": 16, "div_val": 4})
    )
    assert len({each["non_embedding_parameters"] for each in (wide, narrow, bands)}) == 1
    assert wide["embedding_dimension"] > 4 * narrow["embedding_dimension"]
    assert narrow["embedding_dimension"] > bands["embedding_dimension"]
    assert wide["decoder_capacity"] > narrow["decoder_capacity"] > bands["decoder_capacity"]
