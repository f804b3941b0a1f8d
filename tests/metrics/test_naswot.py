"""NASWOT on codes written by hand and on networks whose activations are known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

import archscout
from archscout import InputError
from archscout.metrics.activation_distance import activation_distance, activation_distance_released
from archscout.metrics.naswot import naswot
from archscout.metrics.shared import activation_codes
from archscout.tracing import Trace


def of(*activations: Tensor) -> Trace:
    """A trace with these activations, (T, B, H) each."""
    steps, batch_size = activations[0].shape[:2]
    return Trace(0, torch.zeros(steps, batch_size), activations=list(activations))


def from_hamming_distances(activations: list[np.ndarray]) -> float:
    """log |det K| with K[b, c] = N - d(b, c), from activations (T, B, H)."""
    codes = [np.moveaxis(a > 0, 1, 0).reshape(a.shape[1], -1) for a in activations]
    code = np.concatenate(codes, axis=1)
    kernel = [[code.shape[1] - np.sum(x != y) for y in code] for x in code]
    return float(np.linalg.slogdet(np.array(kernel, dtype=float))[1])


def random_activations(*sizes: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(5, 4, size, generator=rng) for size in sizes]


def test_the_kernel_is_the_number_of_activations_less_the_hamming_distance() -> None:
    activations = random_activations(6, 3)
    expected = from_hamming_distances([a.numpy() for a in activations])
    assert naswot(of(*activations)) == pytest.approx(expected)


def test_only_signs_matter_and_the_order_of_units_does_not() -> None:
    (outputs,) = random_activations(7)
    score = naswot(of(outputs))
    assert naswot(of(outputs * torch.rand(7) + outputs)) == pytest.approx(score)
    assert naswot(of(outputs[..., torch.randperm(7)])) == pytest.approx(score)


def test_of_a_recurrent_network_it_is_activation_distance(text: Path) -> None:
    space = archscout.spaces.RecurrentSpace()
    scorer = archscout.Scorer(space, text, metrics=["naswot", "activation_distance"])
    score = scorer.score(space.sample(3))
    assert score["naswot"] == score["activation_distance"]


def test_the_kernel_is_made_once_for_all_that_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = of(*random_activations(6, 3))
    seen = []
    eigenvalues = torch.linalg.eigvalsh
    monkeypatch.setattr(
        "torch.linalg.eigvalsh", lambda kernel: seen.append(kernel) or eigenvalues(kernel)
    )
    assert naswot(trace) == activation_distance(trace) < activation_distance_released(trace)
    assert len(seen) == 1


def test_of_a_transformer_it_compares_inputs() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=50, intermediate_size=24, **sizes)).eval()
    tokens = torch.randint(0, 50, (4, 9))
    seen: list[np.ndarray] = []
    for layer in bert.encoder.layer:
        layer.intermediate.intermediate_act_fn.register_forward_hook(
            lambda _m, _i, output: seen.append(output.detach().transpose(0, 1).numpy())
        )
    bert(tokens)
    expected = from_hamming_distances(seen)
    score = archscout.score_module(bert, tokens, ["naswot", "activation_distance"])
    assert score["naswot"] == pytest.approx(expected)
    assert score["activation_distance"] != pytest.approx(score["naswot"])


def test_a_network_that_switches_all_inputs_alike_has_none() -> None:
    dead = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5), nn.ReLU())
    nn.init.zeros_(dead[1].weight)
    score = archscout.score_module(dead, torch.arange(6).view(2, 3), ["naswot"])
    assert score["naswot"] == -math.inf
    assert score.problem is not None and "switch every activation alike" in score.problem


def test_activations_that_overflow_have_none() -> None:
    (outputs,) = random_activations(6)
    outputs[2, 1, 0] = math.inf
    assert math.isnan(naswot(of(outputs)))


def test_a_module_without_activations_says_so() -> None:
    with pytest.raises(InputError, match=r"naswot does not apply.*no activation modules"):
        archscout.score_module(nn.Linear(3, 4), torch.randn(5, 2, 3), ["naswot"])


def test_counts_are_exact_in_parts(monkeypatch):
    outputs = torch.randn(7, 5, 6, generator=torch.Generator().manual_seed(0))
    trace = Trace(0, torch.zeros(7, 5), activations=[outputs])
    whole = activation_codes._agreement(trace)
    monkeypatch.setattr(activation_codes, "_EXACT", 10)
    assert torch.equal(activation_codes._agreement(trace), whole)
    codes = (outputs > 0).transpose(0, 1).flatten(1)
    assert torch.equal(whole, (codes[:, None] == codes[None]).sum(-1).double())
