"""What an architecture costs."""

import itertools
from typing import Any

import pytest
import torch

from archscout.errors import InputError
from archscout.recording import count_outside_embeddings
from archscout.runs.costs import COSTS, available, measure
from archscout.spaces import (
    FlexibertSpace,
    GptSpace,
    Recipe,
    RecurrentScale,
    RecurrentSpace,
)

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


def test_parameters_outside_embeddings_are_those_of_the_metric() -> None:
    name = "non_embedding_parameters"
    found = measure(SPACE, RNN, V, SCALE, ["parameters", name])
    assert found == {"parameters": found[name] + V * E, name: found[name]}
    encoders = FlexibertSpace()
    encoder, scale = encoders.sample(0), encoders.scales["fast"]
    recorder = encoders.recorder(encoder, V, scale, 0, None, "cpu", None)
    assert measure(encoders, encoder, V, scale, [name])[name] == recorder.non_embedding_parameters
    narrow = DECODERS.parse({"n_layer": 2, "d_model": 32, "n_head": 4, "d_inner": 64, "d_embed": 8})
    assert measure(DECODERS, narrow, V, TEXT, [name]) == {name: DECODERS.size(narrow)}


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
    ordinary = ["parameters", "non_embedding_parameters", "flops", "latency", "memory"]
    assert available(SPACE) == ordinary
    assert list(measure(SPACE, RNN, V, SCALE, ordinary)) == ordinary


DECODERS = GptSpace()
TEXT = DECODERS.scales["fast"].resized(sequence_length=33, batch_size=B, num_positions=64)


def of_decoder(genes: dict[str, Any], *names: str, **sizes: int) -> dict[str, float]:
    """Costs of a decoder with genes beside a width of 32 and two layers."""
    genotype = DECODERS.parse({"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64} | genes)
    return measure(DECODERS, genotype, V, TEXT.resized(**sizes), names)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_flops_of_grouped_attention_are_those_of_the_heads_of_queries(heads: int) -> None:
    length = TEXT.sequence_length
    projections = 2 * 32 * (32 + 2 * heads * 8 + 32)
    attention = 2 * 2 * length * 32  # products with keys and with values, of all heads
    by_hand = 2 * (projections + attention + 2 * 2 * 32 * 64) + 2 * 32 * V
    assert of_decoder({"n_kv_head": heads}, "flops") == {"flops": by_hand}


def test_memory_with_a_cache_grows_by_its_keys_and_values() -> None:
    def found(**sizes: int) -> float:
        return of_decoder({"position": "rope"}, "cache_memory", **sizes)["cache_memory"]

    keys_and_values = 4 * 2 * 2 * 32  # bytes of a token, in two layers
    grown = found(sequence_length=64) - found()
    # And at most one layer's scaled keys again, and logits and probabilities of four heads.
    assert 31 * B * keys_and_values <= grown <= 31 * B * (keys_and_values + 4 * (32 + 2 * 4))
    weights = 4 * of_decoder({"position": "rope"}, "parameters")["parameters"]
    assert found() > weights + 33 * B * keys_and_values


@pytest.mark.parametrize("batch_size", [1, 7])
def test_heads_that_share_keys_have_a_cache_as_much_smaller(batch_size: int) -> None:
    saved = 0.0
    for groups, sign in ((4, 1), (1, -1)):
        genes = {"n_kv_head": groups}
        costs = of_decoder(genes, "cache_memory", "parameters", batch_size=batch_size)
        saved += sign * (costs["cache_memory"] - 4 * costs["parameters"])
    cached = 33 * batch_size * 4 * 2 * 2 * 24  # bytes of three heads of 8, keys and values
    # No keys are copied for the heads that share them, but to be scaled, those of one layer.
    assert cached <= saved <= 1.25 * cached


def test_reading_a_text_takes_longer_than_generating_a_token() -> None:
    genes = {"d_model": 256, "d_inner": 1024}
    sizes = {"sequence_length": 256, "num_positions": 256}
    found = of_decoder(genes, "prefill_latency", "token_latency", **sizes)
    assert 0 < found["token_latency"] < found["prefill_latency"]


def test_a_cost_of_a_cache_is_refused_where_there_is_none() -> None:
    complaint = (
        "token_latency is a cost of networks with a key/value cache, and those of space rnn have "
        "none; accepted: parameters, non_embedding_parameters, flops, latency, memory"
    )
    with pytest.raises(InputError, match=complaint):
        measure(SPACE, RNN, V, SCALE, ["parameters", "token_latency"])
    with pytest.raises(InputError, match="sequence_length is 1, which leaves nothing to cache"):
        of_decoder({}, "token_latency", sequence_length=1)
    assert available(DECODERS) == list(COSTS)


def test_there_is_no_last_norm_where_norms_stand_behind() -> None:
    name = "non_embedding_parameters"
    tiny, scale = DECODERS.named["gpt2-tiny"], TEXT.resized(norms="post")
    network = DECODERS.skeleton(tiny, V, scale)
    found = measure(DECODERS, tiny, V, scale, [name])[name]
    assert found == count_outside_embeddings(network)
    assert found == measure(DECODERS, tiny, V, TEXT, [name])[name] - 2 * tiny.d_model
