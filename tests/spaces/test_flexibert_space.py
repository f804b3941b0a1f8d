"""The FlexiBERT space: readings, weights, and what the trace records of an encoder."""

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archscout import InputError, spaces
from archscout.metrics import available
from archscout.spaces import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.spaces.flexibert.network import MaskedTokenHead
from archscout.spaces.flexibert.readings import Reading, plan
from archscout.spaces.flexibert.recorder import FlexibertRecorder
from archscout.tracing import trace

SPACE = FlexibertSpace()
SCALE = EncoderScale(3, 8, 16, 12, "declared")
V = 60
SAMPLE = SPACE.published_sample
NEEDS = frozenset().union(*(entry.needs for entry in available("transformer").values()))


def genotype(*operations: tuple[str, str | int], hidden_size: int = 128) -> EncoderGenotype:
    layers = [
        {
            "operation_type": kind,
            "operation_parameter": parameter,
            "num_operation_heads": 2,
            "feed_forward_dimension": 512,
            "num_feed_forward": 3,
        }
        for kind, parameter in operations
    ]
    return EncoderGenotype(hidden_size=hidden_size, layers=layers)


MIXED = genotype(("SA", "WMA"), ("LT", "DCT"), ("DSC", 5), ("SA", "SDP"))


def minibatch() -> torch.Tensor:
    return torch.randint(5, V, (8, 3), generator=torch.Generator().manual_seed(0))


def recorder(architecture: EncoderGenotype = MIXED, **changes: Any) -> FlexibertRecorder:
    return SPACE.recorder(architecture, V, SCALE, 0, **changes)


def test_the_space_is_found_by_name() -> None:
    assert isinstance(spaces.get("flexibert"), FlexibertSpace)


def test_size() -> None:
    assert SPACE.size == 10_621_440


@pytest.mark.parametrize(
    ("reading", "shares"),
    [("declared", [0.5, 0.25, 0.25]), ("scored", [0.5, 0.25, 0.25]), ("trained", [1, 0, 0])],
)
def test_traits_are_the_shares_of_layers_by_operation_of_the_network_that_is_built(
    reading: Reading, shares: list[float]
) -> None:
    scale = dataclasses.replace(SCALE, reading=reading)
    kinds = ["self_attention_layers", "linear_transform_layers", "convolution_layers"]
    assert SPACE.traits(MIXED, scale) == dict(zip(kinds, shares, strict=True))


def test_samples_differ_and_follow_the_seed() -> None:
    drawn = [a for a, _ in zip(SPACE.samples(0), range(600), strict=False)]
    assert len({SPACE.fingerprint(a) for a in drawn}) == 600
    assert SPACE.sample(1) == SPACE.sample(1) != SPACE.sample(2)


def test_parameters_of_the_scored_reading_are_the_published_ones(shared: Path) -> None:
    path = shared / "upstream/training-free-nas/data/BERT_results_activation.csv"
    scale = dataclasses.replace(SPACE.scales["fast"], reading="scored")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    assert rows
    for row in rows:
        skeleton = SPACE.skeleton(SAMPLE[int(row["ID"])], 30_522, scale)
        assert sum(p.numel() for p in skeleton.parameters()) == int(row["Number of Parameters"])


@pytest.mark.parametrize(
    ("reading", "hidden_size", "operations", "closed", "widths"),
    [
        ("declared", 128, ["WMA", "DCT", "DSC-5", "SDP"], [True] * 4, (512, 512, 512)),
        ("trained", 128, ["SDP"] * 4, [True] * 4, (512, 512, 512)),
        ("scored", 256, ["WMA", "DCT", "DSC-5", "SDP"], [True, False, True, True], (1024,) * 3),
    ],
)
def test_readings(
    reading: Reading,
    hidden_size: int,
    operations: list[str],
    closed: list[bool],
    widths: tuple[int, ...],
) -> None:
    found = plan(MIXED, reading)
    assert found.hidden_size == hidden_size
    assert [layer.operation for layer in found.layers] == operations
    assert [layer.closed for layer in found.layers] == closed
    assert {layer.feed_forward for layer in found.layers} == {widths}


def test_the_trained_reading_widens_the_first_feed_forward_layer_only() -> None:
    wide = genotype(("SA", "SDP"), ("LT", "DFT"), hidden_size=256)
    assert {layer.feed_forward for layer in plan(wide, "trained").layers} == {(1024, 512, 512)}


def test_weights_have_electras_distributions() -> None:
    network = SPACE.build(MIXED, V, SCALE, seed=0)
    for name, parameter in network.named_parameters():
        values = parameter.detach()
        if name.endswith("LayerNorm.weight"):
            assert torch.equal(values, torch.ones_like(values))
        elif name.endswith("bias"):
            assert not values.any()
        else:
            error = 0.02 / values.numel() ** 0.5
            assert abs(float(values.mean())) < 5 * error
            assert abs(float(values.std()) - 0.02) < 5 * error


def test_tensors_are_drawn_independently() -> None:
    """No two tensors share numbers, though smaller ones begin as larger ones of their name do."""
    network = SPACE.build(MIXED, V, SCALE, seed=0)
    firsts = [
        tuple(p.detach().flatten()[:4].tolist())
        for name, p in network.named_parameters()
        if not name.endswith(("bias", "LayerNorm.weight"))
    ]
    assert len(set(firsts)) == len(firsts)


def test_what_was_drawn_before_does_not_matter() -> None:
    small, large = genotype(("SA", "SDP"), ("SA", "SDP")), MIXED

    def weights(first: EncoderGenotype, then: EncoderGenotype, seed: int) -> list[torch.Tensor]:
        SPACE.build(first, V, SCALE, seed=seed + 1)  # forgets what was drawn for the seed
        SPACE.build(first, V, SCALE, seed=seed)
        return list(SPACE.build(then, V, SCALE, seed=seed).parameters())

    for then in (small, large):
        one, other = weights(small, then, 0), weights(large, then, 0)
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(weights(small, small, 0)[0], weights(small, small, 1)[0])


def test_training_a_network_leaves_the_next_ones_weights_alone() -> None:
    before = [p.detach().clone() for p in SPACE.build(MIXED, V, SCALE).parameters()]
    network = SPACE.build(MIXED, V, SCALE)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.requires_grad
            parameter.add_(1)
    after = SPACE.build(MIXED, V, SCALE).parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_recorders_network_is_the_one_that_is_built() -> None:
    """Filling only what metrics read, without copies, changes no score."""
    shared = trace(recorder(), minibatch(), NEEDS, objective="cotangent")
    network = SPACE.build(MIXED, V, SCALE, seed=0)
    built = trace(FlexibertRecorder(network), minibatch(), NEEDS, objective="cotangent")
    for name, entry in available("transformer").items():
        assert entry.function(shared) == entry.function(built), name


def test_only_layers_that_matter_are_filled() -> None:
    network = recorder(depth=1)._network
    assert not any(p.is_meta for p in network.encoder.layer[0].parameters())
    assert all(p.is_meta for p in network.encoder.layer[1].parameters())
    found = trace(recorder(depth=1), minibatch(), {"hidden_states"}, depth=1)
    whole = trace(recorder(), minibatch(), {"hidden_states"})
    assert len(found.hidden_states) == 1
    assert torch.equal(found.hidden_states[0], whole.hidden_states[0])


@pytest.mark.parametrize("hidden_size", [128, 256])  # of which one needs a projection
@pytest.mark.parametrize("depth", [None, 1, 0])
def test_all_weights_that_are_drawn_go_to_the_device(hidden_size: int, depth: int | None) -> None:
    architecture = genotype(("SA", "SDP"), ("SA", "SDP"), hidden_size=hidden_size)
    # Of a device that every machine has: what stays behind is seen.
    there = recorder(architecture, depth=depth, device="meta", mask_token=4)
    assert there._head is not None
    modules = (there._network, there._head)
    assert all(p.is_meta for module in modules for p in module.parameters())


def test_parameters_are_counted_without_weights() -> None:
    network = recorder(depth=0)
    assert all(p.is_meta for p in network._network.parameters())
    assert network.parameters == sum(p.numel() for p in SPACE.build(MIXED, V, SCALE).parameters())


def test_what_is_recorded() -> None:
    found = trace(recorder(), minibatch(), NEEDS, objective="cotangent")
    assert [tuple(states.shape) for states in found.hidden_states] == [(8, 3, 128)] * 4
    assert [tuple(values.shape) for values in found.activations] == [(8, 3, 512)] * 12
    roles = [w.role for w in found.weight_gradients if w.role != "feed_forward"]
    assert roles == [
        *("query", "key", "value", "weight", "output"),
        *("input", "output"),
        *("query", "key", "value", "convolution_kernel", "convolution_input", "output"),
        *("query", "key", "value", "output"),
    ]
    assert len(found.weight_gradients) - len(roles) == 16
    widths = [128, 128, 128, 128, 128, 64, 64, 64, 128, 128, 128]
    assert [values.shape[-1] for values in found.projections] == widths
    shapes = [(3, 2, 8, 8), (3, 2, 8, 64), (3, 1, 8, 8), (3, 2, 8, 8)]
    assert [tuple(values.shape) for values in found.softmaxes] == shapes


def test_gradients_are_autograds() -> None:
    tokens = minibatch()
    network = SPACE.build(MIXED, V, SCALE, seed=0).double().eval()
    outputs = network(tokens.t())
    for states in outputs.hidden_states:
        states.retain_grad()
    draws = np.random.default_rng([3, 1]).standard_normal((8, 3, 128), dtype=np.float32)
    (outputs.last_hidden_state.transpose(0, 1) * torch.from_numpy(draws)).sum().backward()
    expected = {
        name: p.grad for name, p in network.named_parameters() if p.dim() == 2 and "encoder" in name
    }
    positions = network.embeddings.position_embeddings.weight.grad
    recorder = FlexibertRecorder(network)
    found = trace(recorder, tokens, NEEDS, objective="cotangent", seed=3)

    def same(mine: torch.Tensor | None, plain: torch.Tensor | None) -> bool:
        assert mine is not None
        assert plain is not None
        return torch.allclose(mine, plain, rtol=1e-9, atol=1e-12)

    parameters = dict(network.named_parameters())
    for weight in found.weight_gradients:
        names = [name for name in expected if torch.equal(parameters[name], weight.weight)]
        assert len(names) == 1
        assert same(weight.gradient, expected.pop(names[0]))
    assert set(expected) == {
        name for name, p in parameters.items() if name.endswith("bias") and p.dim() == 2
    }
    assert same(found.position_gradient, positions)
    for mine, states in zip(found.hidden_state_gradients, outputs.hidden_states[1:], strict=True):
        assert same(mine.transpose(0, 1), states.grad)


def test_the_loss_predicts_masked_tokens() -> None:
    tokens, mask_token = minibatch(), 4
    masking = recorder(mask_token=mask_token)
    chosen = masking._masked(tokens)
    assert int(chosen.sum()) == round(0.15 * 18)
    assert not chosen[0].any()
    assert not chosen[-1].any()
    recording = masking.record(tokens, frozenset({"loss"}))
    network = SPACE.build(MIXED, V, SCALE, seed=0).eval()
    read = tokens.masked_fill(chosen, mask_token).t()
    head = masking._head
    assert isinstance(head, MaskedTokenHead)
    words = network.embeddings.word_embeddings.weight
    logits = head(network(read).last_hidden_state, words)
    expected = F.cross_entropy(logits[chosen.t()], tokens.t()[chosen.t()])
    assert recording.loss is not None
    assert recording.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert recording.loss.item() == pytest.approx(math.log(V), rel=0.05)


def test_other_tokens_are_masked_for_another_seed() -> None:
    tokens = minibatch()
    choices = [
        SPACE.recorder(MIXED, V, SCALE, seed, mask_token=4)._masked(tokens) for seed in (0, 1)
    ]
    assert not torch.equal(*choices)


def test_dropout_follows_the_seed_and_ends_with_the_trace() -> None:
    network, tokens = recorder(), minibatch()

    def states(seed: int, training: bool) -> torch.Tensor:
        found = trace(network, tokens, {"hidden_states"}, seed=seed, training=training)
        return found.hidden_states[-1]

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    assert torch.equal(states(0, True), states(0, True))
    assert not torch.equal(states(0, True), states(1, True))
    assert not torch.equal(states(0, True), states(0, False))
    assert torch.equal(states(0, False), states(1, False))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_minibatch_longer_than_the_positions() -> None:
    with pytest.raises(InputError, match=r"sequence_length \(of .*\) is 600, more than .* 512"):
        SPACE.scales["fast"].resized(sequence_length=600)


def test_an_unknown_reading() -> None:
    with pytest.raises(InputError, match="reading is 'published'; accepted: declared, scored"):
        SPACE.scales["fast"].resized(reading="published")


def test_a_step_is_a_sequence() -> None:
    assert SPACE.step(SPACE.build(MIXED, V, SCALE).eval(), SCALE, 2).shape == (2, 8, 128)
    assert SCALE.step_tokens == 8
