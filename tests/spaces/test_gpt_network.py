"""The decoder's network: what it computes, whatever its parts are."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache

from archscout.errors import InputError
from archscout.spaces import DecoderGenotype, DecoderScale, GptSpace
from archscout.spaces.gpt import DecoderNetwork, sampling
from archscout.spaces.gpt.generation import Cache, generate
from archscout.spaces.gpt.native import native

V = 60
SCALE = DecoderScale(2, 8, 24, "20,45")
SMALL = {"n_layer": 2, "d_model": 32, "n_head": [4, 2], "d_inner": [48, 32]}
KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {
        **{"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "bias": False},
        "n_kv_head": [2, 1],
    },
    "banded": {"d_embed": 16, "div_val": 2, "activation": "relu", "position": "sinusoidal"},
    "factorised": {"d_embed": 64, "bias": False, "n_kv_head": 1},
}
space = GptSpace()


def made(change: dict[str, Any] | None = None, scale: DecoderScale = SCALE) -> DecoderNetwork:
    """A network in evaluation mode, with weights so large that all of them count."""
    network = space.build(DecoderGenotype(**SMALL, **(change or {})), V, scale).eval()
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, float(parameter.dim() < 2), 0.2)
    return network


def tokens(length: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randint(V, (2, length), generator=torch.Generator().manual_seed(seed))


kinds = pytest.mark.parametrize("kind", KINDS)
UNTIED = dataclasses.replace(SCALE, head="untied")
heads = pytest.mark.parametrize("scale", [SCALE, UNTIED], ids=["tied", "untied"])


@kinds
def test_no_token_sees_those_behind_it(kind: str) -> None:
    network, given = made(KINDS[kind]), tokens()
    changed = given.clone()
    changed[:, 5] = (changed[:, 5] + 1) % V
    moved = (network(given) - network(changed)).abs().amax((0, 2))
    assert moved[:5].max() == 0
    assert moved[5:].min() > 1e-3


def test_sines_are_added_to_embeddings_of_the_published_size() -> None:
    network = space.build(DecoderGenotype(**SMALL, position="sinusoidal"), V, SCALE).eval()
    one, other = tokens(seed=0), tokens(seed=1)
    with torch.no_grad():
        network.norm = torch.nn.Identity()
        moved = network.decode(one, depth=0).last_hidden_state
        moved = moved - network.decode(other, depth=0).last_hidden_state
        expected = math.sqrt(32) * (network.embedding(one) - network.embedding(other))
    torch.testing.assert_close(moved, expected)


@kinds
def test_the_cache_changes_nothing(kind: str) -> None:
    network, given = made(KINDS[kind]), tokens()
    whole = network(given)
    for cache in (Cache(8), DynamicCache()):
        with torch.no_grad():
            parts = [network(part, cache=cache) for part in given.split([4, 1, 3], 1)]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


@kinds
def test_generation_is_that_without_a_cache(kind: str) -> None:
    network, expected = made(KINDS[kind]), tokens(3)
    for _ in range(10):
        expected = torch.cat([expected, network(expected)[:, -1:].argmax(-1)], 1)
    assert generate(network, tokens(3), 10, temperature=0).equal(expected)


@pytest.mark.parametrize("temperature", [1e-40, 5e-324])
def test_generation_at_the_lowest_temperatures_takes_the_likeliest(temperature: float) -> None:
    network = made()
    generator = torch.Generator().manual_seed(0)
    drawn = generate(network, tokens(3), 5, temperature, top_k=3, generator=generator)
    assert drawn.equal(generate(network, tokens(3), 5, temperature=0))


def test_generation_draws_from_the_likeliest() -> None:
    network = made()
    drawn = [
        generate(network, tokens(3), 5, top_k=3, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    logits = network(drawn[2])
    for step in range(3, 8):
        likeliest = logits[:, step - 1].topk(3).indices
        assert (likeliest == drawn[2][:, step, None]).any(-1).all()


@kinds
def test_padding_on_the_left_changes_nothing(kind: str) -> None:
    network, given = made(KINDS[kind]), tokens()
    padded = F.pad(given, (3, 0))
    mask = F.pad(torch.ones_like(given), (3, 0))
    torch.testing.assert_close(network(padded, mask=mask)[:, 3:], network(given))
    cache = Cache(11)
    with torch.no_grad():
        network(padded[:, :7], mask=mask[:, :7], cache=cache)
        one = network(padded[:, 7:8], mask=mask[:, :8], cache=cache)
        rest = network(padded[:, 8:], mask=mask, cache=cache)
    torch.testing.assert_close(torch.cat([one, rest], 1), network(given)[:, 4:])


def test_a_token_is_read_again_as_if_it_had_not_been() -> None:
    space, network = GptSpace(), made(KINDS["llama"])
    cache = space.prefill(network, SCALE, 2)
    first = space.next_token(network, cache, 2)
    assert cache.get_seq_length() == SCALE.sequence_length - 1
    assert space.next_token(network, cache, 2).equal(first)
    whole = network(torch.zeros(2, SCALE.sequence_length, dtype=torch.long))
    torch.testing.assert_close(first, whole[:, -1], atol=1e-5, rtol=1e-4)


@kinds
def test_probabilities_are_those_that_are_used(kind: str) -> None:
    network, given = made(KINDS[kind]), tokens()
    plain = network.decode(given)
    outputs = network.decode(given, keep_probabilities=True)
    torch.testing.assert_close(outputs.last_hidden_state, plain.last_hidden_state)
    assert plain.probabilities == []
    assert [tuple(p.shape) for p in outputs.probabilities] == [(2, 4, 8, 8), (2, 2, 8, 8)]
    for probabilities in outputs.probabilities:
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:3]))
        assert probabilities.triu(1).max() == 0


@heads
@kinds
def test_the_loss_is_the_cross_entropy_of_the_logits(kind: str, scale: DecoderScale) -> None:
    network, given = made(KINDS[kind], scale), tokens(seed=1)
    hidden = network.decode(given).last_hidden_state
    loss = network.loss(hidden[:, :-1], given[:, 1:])
    expected = F.cross_entropy(network(given)[:, :-1].flatten(0, 1), given[:, 1:].flatten())
    torch.testing.assert_close(loss, expected)
    by_loss = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    by_logits = torch.autograd.grad(expected, list(network.parameters()), allow_unused=True)
    for one, other in zip(by_loss, by_logits, strict=True):
        assert one is not None and other is not None
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("div_val", [1, 2])
def test_an_adaptive_softmax_gives_probabilities(div_val: int) -> None:
    network = made({"div_val": div_val}, dataclasses.replace(SCALE, softmax="adaptive"))
    torch.testing.assert_close(network(tokens()).exp().sum(-1), torch.ones(2, 8))
    hidden = network.decode(tokens()).last_hidden_state
    first = network.head.projection(hidden) if div_val > 1 else hidden
    # A token of the second band: its band's probability times its own in the band.
    inside = network.head.bias[20:45]
    if div_val > 1:
        second = hidden @ network.embedding.projections[1].weight
        logits = second @ network.embedding.tables[1].weight.t() + inside
        head = network.embedding.tables[0].weight
    else:
        logits = hidden @ network.embedding.tables[0].weight[20:45].t() + inside
        head = network.embedding.tables[0].weight[:20]
    among = torch.cat([first @ head.t() + network.head.bias[:20], network.head.clusters(first)], -1)
    expected = among.softmax(-1)[..., 20] * logits.softmax(-1)[..., 3]
    torch.testing.assert_close(network(tokens())[..., 23].exp(), expected)


@pytest.mark.parametrize("change", [{}, {"d_embed": 16}, {"div_val": 2}], ids=str)
@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_a_head_that_is_not_tied_has_weights_of_its_own(
    change: dict[str, Any], softmax: Any
) -> None:
    network = made(change, dataclasses.replace(UNTIED, softmax=softmax))
    logarithms = network(tokens()).log_softmax(-1)
    if network.head.sizes:
        torch.testing.assert_close(network(tokens()), logarithms, atol=1e-5, rtol=0)
    words = network.embedding(tokens())
    for parameter in network.embedding.parameters():
        parameter.data.zero_()
    torch.testing.assert_close(network(embeddings=words).log_softmax(-1), logarithms)


def test_bands_are_embedded_each_by_its_own_table() -> None:
    network = made({"d_embed": 16, "div_val": 4})
    embedding = network.embedding
    assert [tuple(t.weight.shape) for t in embedding.tables] == [(20, 16), (25, 4), (15, 1)]
    expected = [
        embedding.projections[band](embedding.tables[band].weight[row])
        for band, row in ((0, 19), (1, 0), (1, 24), (2, 0), (2, 14))
    ]
    found = embedding(torch.tensor([19, 20, 44, 45, 59]))
    torch.testing.assert_close(found, torch.stack(expected))


def test_norms_behind_the_sums() -> None:
    network = made(scale=dataclasses.replace(SCALE, norms="post"))
    hidden = network.decode(tokens()).last_hidden_state
    norm = network.layers[1].feed_forward_norm
    unscaled = (hidden - norm.bias) / norm.weight
    torch.testing.assert_close(unscaled.mean(-1), torch.zeros(2, 8), atol=1e-5, rtol=0)
    assert not hasattr(network, "norm")


def test_checkpointing_changes_no_gradient() -> None:
    found = []
    for again in (False, True):
        network = made(KINDS["llama"]).train()
        network.gradient_checkpointing = again
        torch.manual_seed(0)  # of dropout
        network(tokens()).square().mean().backward()
        found.append([p.grad for p in network.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "change",
    [
        {"n_head": 4, "d_inner": 48},
        {"n_head": 4, "d_inner": 48, "activation": "relu"},
        {"n_head": 4, "d_inner": 48, **KINDS["llama"], "n_kv_head": 2},
        {"n_head": 4, "d_inner": 48, **KINDS["llama"], "n_kv_head": 4, "bias": True},
    ],
)
@heads
def test_logits_are_those_of_transformers(change: dict[str, Any], scale: DecoderScale) -> None:
    genotype = DecoderGenotype(**{**SMALL, **change})
    network = space.build(genotype, V, scale).eval()
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, float(parameter.dim() < 2), 0.2)
    model = native(network, genotype)
    assert model is not None
    with torch.no_grad():
        expected = model.eval()(tokens(24)).logits
        torch.testing.assert_close(network(tokens(24)), expected, atol=1e-5, rtol=0)
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in network.parameters()
    )


@pytest.mark.parametrize(
    "change",
    [
        {},  # two numbers of heads
        {"n_head": 4, "d_inner": 48, "bias": False},
        {"n_head": 4, "d_inner": 48, "n_kv_head": 2},
        {"n_head": 4, "d_inner": 48, "d_embed": 16},
        {"n_head": 4, "d_inner": 48, "position": "rope"},
    ],
)
def test_what_transformers_has_no_class_for(change: dict[str, Any]) -> None:
    genotype = DecoderGenotype(**{**SMALL, **change})
    assert native(space.build(genotype, V, SCALE), genotype) is None


# Parameters


def test_parameters_are_those_in_closed_form() -> None:
    rng = random.Random(0)
    choices = ("full", "adaptive"), ("pre", "post"), ("tied", "untied")
    for softmax, norms, head in itertools.product(*choices):
        scale = DecoderScale(2, 8, 16, "300,700", softmax, norms, head)  # type: ignore[arg-type]
        for _ in range(10):
            drawn = sampling.sample(rng)
            network = space.skeleton(drawn, 1000, scale)
            expected = space.count_parameters(drawn, 1000, scale)
            assert sum(p.numel() for p in network.parameters()) == expected


# What is refused


def test_a_text_longer_than_the_positions() -> None:
    with pytest.raises(ValueError, match="25 tokens; the network has 24 positions"):
        made()(tokens(25))
    with pytest.raises(InputError, match=r"sequence_length \(of .*\) is 25, more than .* 24"):
        SCALE.resized(sequence_length=25)
    with pytest.raises(ValueError, match="9 tokens; the cache holds 8"), torch.no_grad():
        made()(tokens(9), cache=Cache(8))


def test_bands_that_the_vocabulary_lacks() -> None:
    genotype = DecoderGenotype(**SMALL, div_val=2)
    with pytest.raises(InputError, match="div_val is 2, but cutoffs are 20, 45 and the vocabulary"):
        space.build(genotype, 19, SCALE)
    with pytest.raises(InputError, match="leaves no width for band 3"):
        space.skeleton(DecoderGenotype(**SMALL, d_embed=16, div_val=16), V, SCALE)


def test_cutoffs_are_read() -> None:
    assert SCALE.resized(cutoffs="10, 20").band_ends == (10, 20)
    assert SCALE.resized(cutoffs=10).band_ends == (10,)
    assert SCALE.resized(cutoffs="").band_ends == ()
    for wrong in ("x", "10,", "0,5", "20,10", "7,7", -1):
        with pytest.raises(InputError, match=r"cutoffs is .*; ids from 1 up, rising, with commas"):
            SCALE.resized(cutoffs=wrong)


# Weights


def test_weights_are_shared_between_decoders_and_follow_from_the_seed() -> None:
    narrow, wide = (
        space.build(DecoderGenotype(**{**SMALL, "d_inner": inner}), V, SCALE) for inner in (16, 32)
    )
    assert narrow.layers[0].attention.query.weight.equal(wide.layers[0].attention.query.weight)
    again = space.build(DecoderGenotype(**SMALL), V, SCALE, seed=1)
    assert not again.embedding.tables[0].weight.equal(narrow.embedding.tables[0].weight)


def test_weights_are_gpt2s() -> None:
    sizes = {"n_layer": 8, "d_model": 256, "n_head": 4, "d_inner": 512}
    network = space.build(DecoderGenotype(**sizes, d_embed=64), V, SCALE)
    layer = network.layers[3]
    assert float(layer.attention.query.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(layer.feed_forward.down.weight.detach().std()) == pytest.approx(0.005, rel=0.05)
    assert float(layer.attention.output.weight.detach().std()) == pytest.approx(0.005, rel=0.05)
    assert float(layer.feed_forward.down.bias.detach().abs().max()) == 0
    assert bool((layer.attention_norm.weight == 1).all())
    # A narrow embedding and its projections leave tokens and logits as large as plain ones do.
    plain = space.build(DecoderGenotype(**sizes), V, SCALE)
    given = tokens(24)
    assert float(network.embedding(given).detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(network(given).detach().std()) == pytest.approx(
        float(plain(given).detach().std()), rel=0.3
    )
