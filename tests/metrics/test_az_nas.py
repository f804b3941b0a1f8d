"""The proxies of AZ-NAS against numpy, on states written by hand and on small networks."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

import archscout
from archscout import InputError
from archscout.metrics.az_complexity import az_complexity
from archscout.metrics.az_expressivity import az_expressivity
from archscout.metrics.az_progressivity import az_progressivity
from archscout.metrics.az_trainability import az_trainability
from archscout.tracing import Trace


def of(*hidden_states: Tensor) -> Trace:
    """A trace with these hidden states, (T, B, H) each."""
    return Trace(0, torch.zeros(hidden_states[0].shape[:2]), hidden_states=list(hidden_states))


def probed(*probes: tuple[Tensor, Tensor], entering: bool = False) -> Trace:
    """A trace whose hidden states leave their layers, or enter the steps of recurrent ones."""
    minibatch = torch.zeros(6, 4)
    return Trace(0, minibatch, states_enter_steps=entering, layer_probes=list(probes))


def states(*sizes: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [
        torch.randn(6, 4, size, generator=rng) @ torch.randn(size, size, generator=rng)
        for size in sizes
    ]


def signs(size: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (6, 4, size), generator=rng) * 2.0 - 1


def entropy(layer: Tensor) -> float:
    """Of the normalised spectrum of the covariance of states (T, B, H)."""
    rows = layer.double().reshape(-1, layer.shape[-1]).numpy()
    spectrum = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True))
    shares = spectrum / spectrum.sum()
    return -sum(share * math.log(share) for share in shares if share > 0)


def bert() -> BertModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    return BertModel(BertConfig(vocab_size=50, intermediate_size=24, **sizes)).eval()


TOKENS = torch.arange(48).view(4, 12)


# Expressivity and progressivity


def test_expressivity_is_the_sum_of_the_layers_entropies() -> None:
    layers = states(5, 8)
    expected = sum(map(entropy, layers))
    assert az_expressivity(of(*layers)) == pytest.approx(expected, rel=1e-6)


def test_equal_components_have_the_largest_entropy_and_a_single_one_none() -> None:
    even = torch.eye(4).repeat(6, 1)
    even = torch.cat([even, -even]).view(12, 4, 4)
    assert az_expressivity(of(even)) == pytest.approx(math.log(4))
    single = torch.randn(6, 4, 1) * torch.ones(5)
    assert az_expressivity(of(single)) == pytest.approx(0, abs=1e-6)


def test_scale_shift_and_rotation_of_states_do_not_matter() -> None:
    (layer,) = states(5)
    score = az_expressivity(of(layer))
    rotation = torch.linalg.qr(torch.randn(5, 5))[0]
    assert az_expressivity(of(3 * layer - 7)) == pytest.approx(score, rel=1e-4)
    assert az_expressivity(of(layer @ rotation)) == pytest.approx(score, rel=1e-4)


def test_progressivity_is_the_smallest_step_from_layer_to_layer() -> None:
    layers = states(4, 9, 7)
    first, second, third = map(entropy, layers)
    expected = min(second - first, third - second)
    assert az_progressivity(of(*layers)) == pytest.approx(expected, rel=1e-5)


def test_one_layer_makes_no_step() -> None:
    assert math.isnan(az_progressivity(of(*states(4))))


@pytest.mark.parametrize("value", [0.0, 0.1, math.nan, math.inf])
def test_states_that_do_not_vary_or_are_not_finite_have_neither(value: float) -> None:
    layers = [*states(4), torch.full((6, 4, 5), value), *states(6)]
    assert math.isnan(az_expressivity(of(*layers)))
    assert math.isnan(az_progressivity(of(*layers)))


def test_expressivity_of_a_transformer_reads_its_layers() -> None:
    network = bert()
    layers = network(TOKENS, output_hidden_states=True).hidden_states[1:]
    entropies = [entropy(layer.detach().transpose(0, 1)) for layer in layers]
    score = archscout.score_module(network, TOKENS, ["az_expressivity", "az_progressivity"])
    assert score["az_expressivity"] == pytest.approx(sum(entropies), rel=1e-4)
    assert score["az_progressivity"] == pytest.approx(min(np.diff(entropies)), abs=1e-4)


def test_expressivity_of_a_recurrent_network_reads_the_states_that_enter_its_steps() -> None:
    torch.manual_seed(0)
    network = nn.GRU(3, 6, num_layers=2)
    batch = torch.randn(9, 4, 3)
    first, second = nn.GRU(3, 6), nn.GRU(6, 6)
    for layer, single in enumerate((first, second)):
        names = {name: name.replace("l0", f"l{layer}") for name in single.state_dict()}
        single.load_state_dict({name: getattr(network, own) for name, own in names.items()})
    outputs = [first(batch)[0]]
    outputs.append(second(outputs[0])[0])
    entering = [torch.cat([torch.zeros(1, 4, 6), layer[:-1]]).detach() for layer in outputs]
    entropies = [entropy(layer) for layer in entering]
    score = archscout.score_module(network, batch, ["az_expressivity", "az_progressivity"])
    assert score["az_expressivity"] == pytest.approx(sum(entropies), rel=1e-4)
    assert score["az_progressivity"] == pytest.approx(entropies[1] - entropies[0], abs=1e-4)


def test_a_dead_cell_says_why() -> None:
    cell = nn.GRU(3, 4)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    score = archscout.score_module(cell, torch.randn(5, 2, 3), ["az_expressivity"])
    assert math.isnan(score["az_expressivity"])
    assert score.problem is not None and "do not vary" in score.problem


def test_a_module_without_layers_says_so() -> None:
    with pytest.raises(InputError, match=r"az_expressivity does not apply.*no torch\.nn\.RNN"):
        archscout.score_module(nn.Linear(3, 4), torch.randn(5, 2, 3), ["az_expressivity"])


# Trainability


def test_trainability_is_the_mean_over_layers() -> None:
    jacobians = [torch.randn(5, 5), torch.randn(5, 8)]
    pairs, expected = [], []
    for seed, jacobian in enumerate(jacobians):
        after = signs(jacobian.shape[1], seed)
        before = after @ jacobian.t()
        pairs.append((after, before))
        rows = zip(before.flatten(0, 1), after.flatten(0, 1), strict=True)
        products = [np.outer(x, y) for x, y in rows]
        largest = np.linalg.svd(np.mean(products, axis=0))[1][0]
        expected.append(2 - largest - 1 / (largest + 1e-6))
    assert az_trainability(probed(*pairs)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_layer_that_keeps_lengths_is_best() -> None:
    # Orthogonal columns of signs, so that their mean product is the identity.
    hadamard = torch.tensor([[1.0, 1], [1, -1]])
    after = torch.kron(torch.kron(hadamard, hadamard), torch.ones(6, 1)).view(6, 4, 4)
    rotation = torch.linalg.qr(torch.randn(4, 4))[0]
    assert az_trainability(probed((after, after @ rotation))) == pytest.approx(0, abs=1e-4)
    assert az_trainability(probed((after, 2 * after))) == pytest.approx(-0.5, abs=1e-4)
    assert az_trainability(probed((after, after / 2))) == pytest.approx(-0.5, abs=1e-4)


def test_layers_that_change_nothing_do_not_count() -> None:
    after = signs(4)
    changed = (after, after * 3)
    assert az_trainability(probed((after, after), changed)) == az_trainability(probed(changed))
    assert math.isnan(az_trainability(probed((after, after))))


def test_vanishing_gradients_are_far_from_best_and_exploding_ones_have_none() -> None:
    after = signs(4)
    assert az_trainability(probed((after, torch.zeros(6, 4, 4)))) == pytest.approx(2 - 1e6)
    assert math.isnan(az_trainability(probed((after, torch.full((6, 4, 4), math.inf)))))


@pytest.mark.parametrize("name", ["rnn", "flexibert"])
def test_all_four_of_a_space(name: str, text: Path) -> None:
    space = archscout.spaces.get(name)
    names = ["az_expressivity", "az_progressivity", "az_trainability", "az_complexity", "flops"]
    score = archscout.Scorer(space, text, metrics=names).score(space.sample(1))
    assert score.problem is None
    assert score["az_complexity"] == score["flops"]
    assert score["az_trainability"] <= 0
    assert score["az_progressivity"] <= score["az_expressivity"]


def test_complexity_is_the_number_of_operations() -> None:
    assert az_complexity(Trace(0, TOKENS, flops=123)) == 123


# Trainability of recurrent networks


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_first_layer_that_passes_its_input_on_is_seen_to(factor: float) -> None:
    torch.manual_seed(0)
    cell = nn.RNN(8, 8, bias=False, nonlinearity="relu")
    with torch.no_grad():
        cell.weight_ih_l0.copy_(factor * torch.eye(8).roll(1, 0))
        cell.weight_hh_l0.zero_()
    # What a step reads is positive, so that the rectifier passes all of it on.
    score = archscout.score_module(cell, torch.rand(200, 20, 8) + 0.1, ["az_trainability"])
    assert score["az_trainability"] == pytest.approx(2 - factor - 1 / factor, abs=0.1)


def test_of_a_recurrent_network_the_first_layers_input_acts_a_step_later() -> None:
    after, before = signs(4), torch.randn(6, 4, 3)
    later = signs(4, 1), torch.randn(6, 4, 4)
    aligned = probed((after[1:], before[:-1]), later)
    found = az_trainability(probed((after, before), later, entering=True))
    assert found == az_trainability(aligned)
    assert math.isnan(az_trainability(probed((after[:1], before[:1]), entering=True)))


def test_layers_without_a_following_step_have_no_trainability() -> None:
    empty = torch.zeros(0, 2, 3)
    trace = Trace(0, torch.zeros(1, 2), layer_probes=[(empty, empty)])
    assert math.isnan(az_trainability(trace))
