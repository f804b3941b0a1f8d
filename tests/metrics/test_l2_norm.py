"""The norm of the weights, against networks whose weights are known."""

import pytest
import torch
from transformers import BertConfig, BertModel

import archscout
from archscout import spaces


def matrices(network):
    return [
        parameter
        for name, parameter in network.named_parameters()
        if parameter.dim() == 2 and "embeddings" not in name and name != "embedding"
    ]


@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.parametrize(("space", "excluded"), [("rnn", "decoder"), ("flexibert", "pooler")])
def test_every_matrix_of_the_layers_counts_once(space, excluded, with_gradients):
    found = spaces.get(space)
    architecture = found.sample(1)
    names = ["l2_norm", *(["synaptic_saliency"] if with_gradients else [])]
    scorer = archscout.Scorer(found, metrics=names)
    network = found.build(architecture, len(scorer.vocabulary), scorer.scale, 0)
    expected = sum(weight.norm().item() for weight in matrices(network))
    assert scorer.score(architecture)["l2_norm"] == pytest.approx(expected, rel=1e-5)


def test_a_module_and_a_model_of_transformers():
    torch.manual_seed(0)
    linear = torch.nn.Linear(3, 4)
    score = archscout.score_module(linear, torch.randn(5, 2, 3), ["l2_norm"])
    assert score["l2_norm"] == pytest.approx(linear.weight.norm().item())
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=50, intermediate_size=32, **sizes))
    score = archscout.score_module(bert, torch.randint(0, 50, (2, 8)), ["l2_norm"])
    layers = sum(weight.norm().item() for weight in matrices(bert.encoder))
    assert score["l2_norm"] == pytest.approx(layers, rel=1e-5)


def test_zero_weights_have_no_norm():
    linear = torch.nn.Linear(3, 4)
    torch.nn.init.zeros_(linear.weight)
    assert archscout.score_module(linear, torch.randn(5, 2, 3), ["l2_norm"])["l2_norm"] == 0
    torch.nn.init.constant_(linear.weight, float("inf"))
    score = archscout.score_module(linear, torch.randn(5, 2, 3), ["l2_norm"])
    assert "l2_norm is inf" in score.problem
