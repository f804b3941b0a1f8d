"""The space of decoders: what is recorded of its networks, and what the others ask of a space."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archscout
from archscout import spaces
from archscout.metrics import available
from archscout.recording import RECORDABLE
from archscout.scoring import Scorer, score_module
from archscout.spaces import DecoderGenotype, DecoderScale, GptSpace
from archscout.text import load_corpus

SMALL = {"n_layer": 3, "d_model": 32, "n_head": [4, 2, 2], "d_inner": [48, 32, 64]}
KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {
        **{"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "bias": False},
        "n_kv_head": [2, 1, 2],
    },
    "banded": {"d_embed": 16, "div_val": 2, "activation": "relu", "position": "sinusoidal"},
}
SCALE = DecoderScale(4, 12, 16, "100,200")
space = GptSpace()
kinds = pytest.mark.parametrize("kind", KINDS)


class Plain(nn.Module):
    """What any module would be taken for: the layers without what predicts tokens."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        """Last hidden states."""
        hidden: Tensor = self.network.decode(tokens).last_hidden_state
        return hidden


def scorer(**settings: Any) -> Scorer:
    return Scorer(space, load_corpus("python-docs"), scale=SCALE, vocabulary_size=400, **settings)


@kinds
def test_every_metric_applies(kind: str) -> None:
    genotype = DecoderGenotype(**SMALL, **KINDS[kind])
    for objective in ("cotangent", "loss"):
        result = scorer(objective=objective).score(genotype)
        assert {name.partition("[")[0] for name in result.scores} >= set(available("transformer"))
        finite = [name for name, value in result.scores.items() if value == value]
        assert set(result.scores) - set(finite) == set(), result.problem


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_scores_are_those_of_the_network_as_any_module(kind: str) -> None:
    """The recorder is quicker, and says the same."""
    genotype = DecoderGenotype(**SMALL, **KINDS[kind])
    own = scorer()
    network = space.build(genotype, len(own.vocabulary), SCALE)
    found = score_module(Plain(network), own.minibatch.t(), objective="cotangent")
    expected = own.score(genotype).scores
    # The module has no logits, and its attention returns no probabilities.
    left_out = {"softmax_confidence", "az_complexity", "flops"}
    shared = {name: value for name, value in found.scores.items() if name not in left_out}
    assert len(shared) > 40
    assert {name: expected[name] for name in shared} == pytest.approx(shared, rel=1e-3)


def test_the_gradient_of_positions_is_that_of_learned_ones() -> None:
    own = scorer()
    genotype = DecoderGenotype(**SMALL)
    with own.recorder(genotype) as recorder:
        recorder._network.positions.weight.requires_grad_()
        recording = recorder.record(own.minibatch, frozenset({"position_embedding", "output"}))
        assert recording.output is not None and recording.position_embedding is not None
        ours, learned = torch.autograd.grad(
            recording.output.square().sum(),
            [recording.position_embedding, recorder._network.positions.weight],
        )
    torch.testing.assert_close(ours, learned)


def test_only_the_layers_that_matter_are_filled() -> None:
    own = scorer(metrics=["hidden_covariance[1]"])
    assert own.depth == 1
    genotype = DecoderGenotype(**SMALL)
    with own.recorder(genotype, 1) as recorder:
        assert recorder._network.layers[1].attention.query.weight.is_meta
    every = scorer(metrics=["hidden_covariance"]).score(genotype).scores
    assert own.score(genotype).scores["hidden_covariance[1]"] == every["hidden_covariance[1]"]


def test_linear_maps_and_their_roles() -> None:
    own = scorer()
    with own.recorder(DecoderGenotype(**SMALL, **KINDS["llama"])) as recorder:
        assert recorder.recordable == dict.fromkeys(RECORDABLE)
        recording = recorder.record(own.minibatch, frozenset({"linears", "projections"}))
        layer = ["query", "key", "value", "output", *["feed_forward"] * 3]
        assert [linear.role for linear in recording.linears] == 3 * layer
        widths = [tuple(p.shape) for p in recording.projections]
        assert widths[:6] == [(12, 4, w) for w in (32, 16, 16, 32, 16, 16)]
        assert recorder.depth == 3
        assert recorder.width == 32


def test_flops_are_those_of_its_products() -> None:
    """Of a token of 12: the layers' maps, scores and sums of attention, and the tied logits."""
    genotype = DecoderGenotype(**SMALL, bias=False)
    own = scorer(metrics=["flops"])
    maps = sum(4 * 32 * 32 + 2 * 32 * inner for inner in (48, 32, 64))
    attention = 3 * 2 * 12 * 32
    expected = 2 * (maps + attention + 32 * len(own.vocabulary))
    assert own.score(genotype).scores["flops"] == expected


def test_the_loss_of_a_text_of_one_token_is_refused() -> None:
    one = Scorer(
        space,
        "python-docs",
        ["zico"],
        DecoderScale(4, 1, 16, ""),
        vocabulary_size=400,
        objective="loss",
    )
    with pytest.raises(archscout.errors.InputError, match="sequence_length is 1; the loss is that"):
        one.score(DecoderGenotype(**SMALL))


def test_samples_differ_and_follow_from_the_seed() -> None:
    drawn = list(islice(space.samples(3), 20))
    assert len(set(drawn)) == 20
    assert list(islice(space.samples(3), 20)) == drawn
    assert space.sample(3) == drawn[0]


def test_a_genotype_is_read_however_it_is_wrapped() -> None:
    tiny = space.named["gpt2-tiny"]
    assert space.parse("gpt2-tiny") == tiny
    assert space.parse({"space": "gpt", "architecture": space.to_dict(tiny)}) == tiny
    assert spaces.recognise(str(space.to_dict(tiny)).replace("'", '"')) == "gpt"
    assert isinstance(spaces.get("gpt"), GptSpace)
    assert [spaces.recognise(name) for name in ("llama-tiny", "lstm", "bert-mini", "neither")] == [
        *("gpt", "rnn", "flexibert", "rnn")
    ]
