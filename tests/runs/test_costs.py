"""What an architecture costs."""

import itertools

import pytest
import torch

from archscout.runs.costs import COSTS, measure
from archscout.spaces import FlexibertSpace, Recipe, RecurrentScale, RecurrentSpace

SPACE = RecurrentSpace()
RNN = SPACE.named["rnn"]
SAMPLES = list(itertools.islice(SPACE.samples(0), 4))
V, B, E, H = 30, 4, 8, 12
SCALE = RecurrentScale(B, 6, E, H, 2, "canonical")


@pytest.mark.parametrize("recipe", [*SPACE.named.values(), *SAMPLES])
def test_parameters_are_those_of_the_built_network(recipe: Recipe) -> None:
    found = measure(SPACE, recipe, V, SCALE, ["parameters"])
    assert found == {
        "parameters": sum(p.numel() for p in SPACE.build(recipe, V, SCALE).parameters())
    }


def test_flops_of_an_rnn_are_those_counted_by_hand() -> None:
    # Two for each weight: layers of E to H and H to E units, and the decoder.
    by_hand = 2 * (H * (E + H) + E * (H + E) + V * E)
    assert measure(SPACE, RNN, V, SCALE, ["flops"]) == {"flops": by_hand}
    longer = SCALE.resized(sequence_length=20, batch_size=9)
    assert measure(SPACE, RNN, V, longer, ["flops"]) == {"flops": by_hand}


def test_flops_of_an_lstm_are_those_of_its_four_gates() -> None:
    by_hand = 2 * (4 * H * (E + H) + 4 * E * (H + E) + V * E)
    assert measure(SPACE, SPACE.named["lstm"], V, SCALE, ["flops"]) == {"flops": by_hand}


@pytest.mark.parametrize("recipe", [*SPACE.named.values(), *SAMPLES])
def test_flops_are_those_of_the_trace(recipe: Recipe) -> None:
    recorder = SPACE.recorder(recipe, V, SCALE, 0, 0)
    expected = measure(SPACE, recipe, V, SCALE, ["flops"])["flops"]
    assert recorder.flops(torch.zeros(SCALE.sequence_length, B, dtype=torch.long)) == expected


@pytest.mark.parametrize("seed", range(4))
def test_flops_of_encoders_are_those_of_the_trace(seed: int) -> None:
    space = FlexibertSpace()
    scale = space.scales["fast"]
    genotype = space.sample(seed)
    tokens = torch.zeros(scale.sequence_length, scale.batch_size, dtype=torch.long)
    expected = measure(space, genotype, V, scale, ["flops"])["flops"]
    assert space.recorder(genotype, V, scale, 0, 0).flops(tokens) == expected


@pytest.mark.parametrize("recipe", [RNN, *SAMPLES[:2]])
def test_memory_is_the_weights_and_what_a_step_needs(recipe: Recipe) -> None:
    weights = 4 * sum(p.numel() for p in SPACE.build(recipe, V, SCALE).parameters())
    sizes = [
        measure(SPACE, recipe, V, SCALE.resized(batch_size=b), ["memory"])["memory"]
        for b in (1, 10, 100)
    ]
    # A step holds at least the logits of each sequence.
    assert sizes[0] >= weights + 4 * V
    assert sizes[1] >= sizes[0] + 9 * 4 * V
    assert sizes[2] >= sizes[1] + 90 * 4 * V


def test_memory_does_not_count_what_was_freed() -> None:
    layers = [SCALE.resized(num_layers=n, embedding_size=H) for n in (2, 8)]
    peaks = [measure(SPACE, RNN, 1000, s, ["memory", "parameters"]) for s in layers]
    activations = [p["memory"] - 4 * p["parameters"] for p in peaks]
    # The logits of 1000 tokens outweigh what the layers leave behind.
    assert activations[1] < 1.5 * activations[0]


def test_latency_is_positive_and_grows_with_the_network() -> None:
    small = measure(SPACE, RNN, V, SCALE, ["latency"])["latency"]
    large = measure(SPACE, RNN, V, SCALE.resized(num_layers=40), ["latency"])["latency"]
    assert 0 < small < large < 1000


def test_only_what_was_asked_for_is_measured_in_that_order() -> None:
    assert list(measure(SPACE, RNN, V, SCALE, [])) == []
    assert list(measure(SPACE, RNN, V, SCALE, ["memory", "flops"])) == ["memory", "flops"]
    assert set(measure(SPACE, RNN, V, SCALE, COSTS)) == {
        "parameters",
        "flops",
        "latency",
        "memory",
    }
