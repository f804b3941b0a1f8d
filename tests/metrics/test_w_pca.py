"""W-PCA against numpy, on activations of known rank and on small networks."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

import archscout
from archscout import InputError
from archscout.metrics.vanilla_pca import vanilla_pca
from archscout.metrics.w_pca import w_pca
from archscout.tracing import Trace


def of(*activations: Tensor, parameters: int = 0) -> Trace:
    """A trace with these activations, (T, B, F) each."""
    minibatch = torch.zeros(activations[0].shape[:2])
    return Trace(parameters, minibatch, activations=list(activations))


def components(outputs: np.ndarray) -> int:
    """The fewest principal components with 99 % of the variance, from outputs (T, B, F)."""
    rows = outputs.reshape(-1, outputs.shape[-1]).astype(float)
    spectrum = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    share = np.cumsum(spectrum) / spectrum.sum()
    return int(np.argmax(share >= 0.99)) + 1


def random_activations(*sizes: int, rank: int | None = None) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(10, 3, rank or size, generator=rng)
        @ torch.randn(rank or size, size, generator=rng)
        for size in sizes
    ]


def test_components_add_up_over_activations() -> None:
    activations = random_activations(6, 20, 45)
    expected = sum(components(outputs.numpy()) for outputs in activations)
    assert vanilla_pca(of(*activations)) == expected


def test_it_is_multiplied_by_the_number_of_parameters() -> None:
    activations = random_activations(6, 20)
    trace = of(*activations, parameters=1234)
    assert w_pca(trace) == 1234 * vanilla_pca(trace)


def test_there_are_never_more_components_than_the_rank() -> None:
    assert vanilla_pca(of(*random_activations(20, rank=3))) <= 3
    assert vanilla_pca(of(torch.eye(30)[:, :20].reshape(10, 3, 20))) == 20


def test_scale_shift_and_rotation_do_not_matter() -> None:
    (outputs,) = random_activations(12)
    rotation = torch.linalg.qr(torch.randn(12, 12))[0]
    assert vanilla_pca(of(5 * outputs @ rotation - 2)) == vanilla_pca(of(outputs))


def test_activations_that_do_not_vary_need_no_component() -> None:
    live = random_activations(6)[0]
    dead = torch.full((10, 3, 8), 0.1)
    assert vanilla_pca(of(live, dead)) == vanilla_pca(of(live))
    assert w_pca(of(dead, parameters=9)) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_activations_that_are_not_finite_have_none(value: float) -> None:
    (outputs,) = random_activations(6)
    outputs[1, 2, 3] = value
    assert math.isnan(vanilla_pca(of(outputs))) and math.isnan(w_pca(of(outputs, parameters=9)))


def test_of_a_transformer_it_reads_what_feed_forward_activations_are_applied_to() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=50, intermediate_size=24, **sizes)).eval()
    tokens = torch.randint(0, 50, (4, 20))
    seen: list[int] = []
    for layer in bert.encoder.layer:
        layer.intermediate.intermediate_act_fn.register_forward_hook(
            lambda _m, inputs, _o: seen.append(components(inputs[0].detach().numpy()))
        )
    bert(tokens)
    score = archscout.score_module(bert, tokens, ["w_pca", "vanilla_pca", "parameters"])
    assert score["vanilla_pca"] == sum(seen[:2])
    assert score["w_pca"] == score["vanilla_pca"] * score["parameters"]


@pytest.mark.parametrize("name", ["rnn", "flexibert"])
def test_of_a_space(name: str, text: Path) -> None:
    space = archscout.spaces.get(name)
    score = archscout.Scorer(space, text, metrics=["w_pca", "vanilla_pca"]).score(space.sample(1))
    assert score.problem is None
    assert score["vanilla_pca"] >= 1 and score["w_pca"] > score["vanilla_pca"]


def test_a_module_without_activations_says_so() -> None:
    with pytest.raises(InputError, match=r"w_pca does not apply.*no activation modules"):
        archscout.score_module(nn.Linear(3, 4), torch.randn(5, 2, 3), ["w_pca"])
