"""LPZero's proxy against transformers whose first projections are known."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

import archscout
from archscout import InputError
from archscout.metrics.lpzero import lpzero
from archscout.tracing import Trace

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
TOKENS = torch.arange(48).view(4, 12)


def of(layers: list[list[Tensor]]) -> Trace:
    """A trace of layers with these projections (T, B, columns)."""
    roles = []
    for layer in layers:
        roles += ["query", "key", "value", "weight"][: len(layer)]
        roles += ["convolution_input", "output", "feed_forward", "feed_forward"]
    projections = [outputs for layer in layers for outputs in layer]
    return Trace(0, TOKENS, projections=projections, weight_roles=roles)


def outputs(value: float) -> Tensor:
    return torch.full((12, 4, 5), float(value))


def test_it_is_the_mean_over_layers_of_the_first_projections_mean_square() -> None:
    layers = [[outputs(2), outputs(7), outputs(7)], [outputs(-4)], [outputs(0), outputs(7)]]
    assert lpzero(of(layers)) == pytest.approx((4 + 16 + 0) / 3)


def test_it_grows_with_the_square_of_the_scale() -> None:
    torch.manual_seed(0)
    heads = torch.randn(12, 4, 5)
    score = lpzero(of([[heads]]))
    assert score == pytest.approx(float((heads * heads).mean()))
    assert lpzero(of([[-3 * heads]])) == pytest.approx(9 * score)


def bert() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=50, intermediate_size=24, **SIZES)).eval()


def test_of_a_model_of_transformers_it_reads_the_queries() -> None:
    network = bert()
    squares: list[float] = []
    for layer in network.encoder.layer:
        layer.attention.self.query.register_forward_hook(
            lambda _m, _i, output: squares.append(float(output.detach().square().mean()))
        )
    network(TOKENS)
    expected = sum(squares[:3]) / 3
    assert archscout.score_module(network, TOKENS, ["lpzero"])["lpzero"] == pytest.approx(expected)


def test_layers_that_share_their_weights_count_each() -> None:
    torch.manual_seed(0)
    network = AlbertModel(
        AlbertConfig(vocab_size=50, embedding_size=8, intermediate_size=24, **SIZES)
    ).eval()
    squares: list[float] = []
    shared = network.encoder.albert_layer_groups[0].albert_layers[0]
    shared.attention.query.register_forward_hook(
        lambda _m, _i, output: squares.append(float(output.detach().square().mean()))
    )
    network(TOKENS)
    score = archscout.score_module(network, TOKENS, ["lpzero"])
    assert score["lpzero"] == pytest.approx(sum(squares[:3]) / 3)


@pytest.mark.parametrize("seed", range(4))
def test_of_an_encoder_it_reads_queries_and_the_inputs_of_linear_transforms(
    seed: int, text: Path
) -> None:
    space = archscout.spaces.FlexibertSpace()
    scorer = archscout.Scorer(space, text, metrics=["lpzero"])
    genotype = space.sample(seed)
    network = space.build(genotype, len(scorer.vocabulary), scorer.scale, 0).eval()
    squares: list[float] = []
    for layer in network.encoder.layer:
        operation = layer.operation.operation
        first = operation.query if hasattr(operation, "query") else operation.input
        first.register_forward_hook(
            lambda _m, _i, output: squares.append(float(output.detach().square().mean()))
        )
    with torch.no_grad():
        network(scorer.minibatch.t())
    expected = sum(squares) / len(squares)
    assert scorer.score(genotype)["lpzero"] == pytest.approx(expected, rel=1e-4)


def test_dead_and_exploding_networks() -> None:
    network = bert()
    for layer in network.encoder.layer:
        torch.nn.init.zeros_(layer.attention.self.query.weight)
    assert archscout.score_module(network, TOKENS, ["lpzero"])["lpzero"] == 0
    torch.nn.init.constant_(network.encoder.layer[1].attention.self.query.weight, math.inf)
    score = archscout.score_module(network, TOKENS, ["lpzero"])
    assert not math.isfinite(score["lpzero"])
    assert score.problem is not None and "projections are not finite" in score.problem


def test_it_is_for_transformers_only() -> None:
    with pytest.raises(InputError, match=r"lpzero.*defined for transformers only"):
        archscout.score_module(torch.nn.GRU(3, 4), torch.randn(5, 2, 3), ["lpzero"])
