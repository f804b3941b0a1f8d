"""ZeroLM's capacities against numpy's singular values of a model's weights."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

import archscout
from archscout import InputError

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TOKENS = torch.arange(48).view(4, 12)
NAMES = ["zerolm", "zerolm_attention", "zerolm_feed_forward"]


def bert(width: int = 24) -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=50, intermediate_size=width, **SIZES)).eval()


def capacity(linears: list[nn.Module]) -> float:
    """Sum of the means of the squared singular values."""
    weights = [linear.weight.detach().double().numpy() for linear in linears]
    return sum(float(np.mean(np.linalg.svd(w, compute_uv=False) ** 2)) for w in weights)


def linears(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, nn.Linear)]


def test_each_block_is_the_mean_of_its_squared_singular_values() -> None:
    network = bert()
    attention = capacity([m for x in network.encoder.layer for m in linears(x.attention)])
    feed_forward = capacity(
        [m for x in network.encoder.layer for m in linears(x.intermediate) + linears(x.output)]
    )
    score = archscout.score_module(network, TOKENS, NAMES)
    assert score["zerolm_attention"] == pytest.approx(attention)
    assert score["zerolm_feed_forward"] == pytest.approx(feed_forward)
    assert score["zerolm"] == pytest.approx((attention + feed_forward) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_of_an_encoder(seed: int, text: Path) -> None:
    space = archscout.spaces.FlexibertSpace()
    scorer = archscout.Scorer(space, text, metrics=NAMES)
    genotype = space.sample(seed)
    network = space.build(genotype, len(scorer.vocabulary), scorer.scale, 0)
    # A depthwise or pointwise convolution is no linear map.
    attention = capacity([m for x in network.encoder.layer for m in linears(x.operation)])
    feed_forward = capacity(
        [m for x in network.encoder.layer for m in linears(x.intermediate) + linears(x.output)]
    )
    score = scorer.score(genotype)
    assert score["zerolm_attention"] == pytest.approx(attention, rel=1e-5)
    assert score["zerolm_feed_forward"] == pytest.approx(feed_forward, rel=1e-5)


def test_text_does_not_matter_and_neither_does_the_objective() -> None:
    network = bert()
    score = archscout.score_module(network, TOKENS, NAMES)
    other = archscout.score_module(network, TOKENS.flip(1), NAMES, objective="sum")
    assert score.scores == other.scores


def test_it_grows_with_width_and_the_square_of_the_scale() -> None:
    narrow = archscout.score_module(bert(), TOKENS, NAMES)
    wide = archscout.score_module(bert(48), TOKENS, NAMES)
    assert wide["zerolm_feed_forward"] > narrow["zerolm_feed_forward"]
    network = bert()
    for linear in linears(network.encoder):
        linear.weight.data *= 3
    tripled = archscout.score_module(network, TOKENS, NAMES)
    assert tripled["zerolm"] == pytest.approx(9 * narrow["zerolm"])


def test_dead_and_exploding_networks() -> None:
    network = bert()
    for linear in linears(network.encoder):
        nn.init.zeros_(linear.weight)
    assert archscout.score_module(network, TOKENS, NAMES)["zerolm"] == 0
    nn.init.constant_(network.encoder.layer[0].output.dense.weight, math.inf)
    score = archscout.score_module(network, TOKENS, ["zerolm"])
    assert score["zerolm"] == math.inf
    assert score.problem is not None and "a weight is not finite" in score.problem


def test_it_is_for_transformers_only() -> None:
    with pytest.raises(InputError, match=r"zerolm.*defined for transformers only"):
        archscout.score_module(nn.GRU(3, 4), torch.randn(5, 2, 3), ["zerolm"])
