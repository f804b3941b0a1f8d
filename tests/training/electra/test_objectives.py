"""What an encoder is pretrained to do, against plain computations."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F

from archscout.spaces import FlexibertSpace
from archscout.spaces.flexibert.readings import Reading
from archscout.text import WordPiece
from archscout.training.electra.masking import MaskedBatch, Masking
from archscout.training.electra.objectives import (
    MaskedTokens,
    ReplacedTokens,
    Sums,
    build_objective,
    draw_tokens,
    start_from_unigram,
)
from pretraining_runs import SCALE, SETTINGS, genotype

SPACE = FlexibertSpace()


def built(pieces: WordPiece, **changes: Any) -> Any:
    settings = SETTINGS.resized(**{"dropout": 0.0, **changes})
    return build_objective(SPACE, genotype(), len(pieces), SCALE, settings, seed=3)


def sums(model: Any, batch: MaskedBatch) -> Sums[float]:
    with torch.no_grad():
        return Sums(*(float(value) for value in model(batch)))


@pytest.fixture(params=[False, True])
def batch(pieces: WordPiece, request: pytest.FixtureRequest) -> MaskedBatch:
    """Six sequences, all full or some padded."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(pieces), (6, 14), generator=generator)
    ids[:, 0], ids[:, -1] = 2, 3
    if request.param:
        ids[::2, 9:] = 0
    return Masking(pieces, 0.3).mask(ids, 0, 0.85)


def test_the_encoder_has_the_weights_that_scoring_sees(pieces: WordPiece) -> None:
    expected = SPACE.build(genotype(), len(pieces), SCALE, seed=3).state_dict()
    for task in ("replaced", "masked"):
        found = built(pieces, task=task).encoder.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_embeddings_are_tied(pieces: WordPiece) -> None:
    model = built(pieces)
    assert isinstance(model, ReplacedTokens)
    assert model.generator.embeddings is model.encoder.embeddings
    names = [name for name, _ in model.named_parameters()]
    assert sum("word_embeddings" in name for name in names) == 1
    assert sum("position_embeddings" in name for name in names) == 1
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes.count((len(pieces), SCALE.embedding_size)) == 1  # the decoder is tied, too


@pytest.mark.parametrize("reading", get_args(Reading))
@pytest.mark.parametrize("seed", range(4))
def test_the_generator_is_a_quarter_as_wide(pieces: WordPiece, reading: Any, seed: int) -> None:
    architecture = SPACE.sample(seed)
    scale = SCALE.resized(reading=reading)
    model = build_objective(SPACE, architecture, len(pieces), scale, SETTINGS, seed=0)
    assert isinstance(model, ReplacedTokens)
    encoder, generator = model.encoder.encoder, model.generator.encoder
    assert generator.hidden_size * 4 == encoder.hidden_size
    for small, large in zip(generator.layers, encoder.layers, strict=True):
        assert [4 * width for width in small["feed_forward"]] == large["feed_forward"]
        kept = ("operation", "num_heads", "closed")
        assert [small[key] for key in kept] == [large[key] for key in kept]


@pytest.mark.parametrize(("share", "hidden_size"), [(0.001, 4), (0.26, 32), (1.0, 128)])
def test_any_share_gives_a_generator(
    pieces: WordPiece, batch: MaskedBatch, share: float, hidden_size: int
) -> None:
    model = built(pieces, generator_share=share)
    assert model.generator.encoder.hidden_size == hidden_size
    assert all(bool(value.isfinite()) for value in model(batch))


@torch.no_grad()
def test_losses_are_those_of_a_plain_computation(pieces: WordPiece, batch: MaskedBatch) -> None:
    model = built(pieces)
    words = model.encoder.embeddings.word_embeddings.weight
    hidden = model.generator(batch.inputs, batch.present).last_hidden_state
    logits = model.generator_head(hidden, words)  # (N, T, V), at every position
    labels = batch.originals.masked_fill(~batch.chosen, -100)
    nats = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    filled = batch.originals.clone()
    for n, t in batch.chosen.nonzero().tolist():
        below = logits[n, t].softmax(0).cumsum(0)
        filled[n, t] = int((below <= batch.draws[n, t] * below[-1]).sum())
    replaced = (filled != batch.originals).float()
    present = batch.originals != 0
    scores = model.detection_head(model.encoder(filled, batch.present).last_hidden_state)
    each = F.binary_cross_entropy_with_logits(scores, replaced, reduction="none")
    found = sums(model, batch)
    assert found.nats == pytest.approx(float(nats), rel=1e-5)
    assert found.hits == (logits.argmax(-1) == batch.originals)[batch.chosen].sum()
    assert found.detection == pytest.approx(float(each[present].sum()), rel=1e-5)
    assert found.detected == ((scores > 0) == replaced.bool())[present].sum()
    assert 0 < found.replaced == replaced.sum()


@torch.no_grad()
def test_masked_tokens_are_those_of_a_plain_computation(
    pieces: WordPiece, batch: MaskedBatch
) -> None:
    model = built(pieces, task="masked")
    assert isinstance(model, MaskedTokens)
    hidden = model.encoder(batch.inputs, batch.present).last_hidden_state
    logits = model.head(hidden, model.encoder.embeddings.word_embeddings.weight)
    labels = batch.originals.masked_fill(~batch.chosen, -100)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    found = sums(model, batch)
    assert found.nats == pytest.approx(float(expected), rel=1e-5)
    assert found.detection == found.detected == found.replaced == 0


def test_no_gradient_flows_from_the_encoder_into_the_generator(
    pieces: WordPiece, batch: MaskedBatch
) -> None:
    model = built(pieces)
    model(batch).detection.backward()
    assert all(p.grad is None for p in model.generator.encoder.parameters())
    assert all(p.grad is None for p in model.generator_head.parameters())
    assert model.encoder.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_tokens_that_are_drawn_as_the_original_count_as_original(
    pieces: WordPiece, batch: MaskedBatch
) -> None:
    model = built(pieces)
    with torch.no_grad():
        model.generator_head.bias[7] = 1e4  # all that is ever drawn
    originals = batch.originals.masked_fill(batch.chosen, 7)
    assert model(batch._replace(originals=originals)).replaced == 0
    originals = batch.originals.masked_fill(batch.chosen, 8)
    assert model(batch._replace(originals=originals)).replaced == batch.num_chosen


def test_padding_changes_nothing(pieces: WordPiece) -> None:
    model = built(pieces)
    short = torch.tensor([[2, 9, 8, 7, 6, 3]])
    padded = torch.cat([short, torch.zeros(1, 5, dtype=torch.long)], 1)
    masking = Masking(pieces, 0.3)
    masked = masking.mask(padded, 0, 1.0)
    cut = MaskedBatch(*(None if x is None else x[:, :6] for x in masked))._replace(present=None)
    assert sums(model, masked) == pytest.approx(sums(model, cut), rel=1e-5)


def test_drawn_tokens_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.1, 0.4, 0.0])
    draws = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    drawn = draw_tokens(probabilities.log().expand(20_000, -1), draws)
    shares = drawn.bincount(minlength=5) / 20_000
    assert shares.allclose(probabilities, atol=0.02) and shares[0] == shares[4] == 0
    edges = draw_tokens(probabilities.log().expand(2, -1), torch.tensor([0.0, 1.0]))
    assert edges[0] == 1 and edges[1] <= 4


def test_dropout_is_set_everywhere(pieces: WordPiece, batch: MaskedBatch) -> None:
    model = built(pieces, dropout=0.0).train()
    assert model(batch).detection == model.eval()(batch).detection
    model = built(pieces, dropout=0.5).train()
    torch.manual_seed(0)
    assert model(batch).detection != model.eval()(batch).detection


def test_a_start_from_the_unigram(pieces: WordPiece, batch: MaskedBatch) -> None:
    model = built(pieces)
    counts = torch.arange(len(pieces))
    start_from_unigram(model, counts)
    bias = model.generator_head.bias.detach()
    assert float(bias.exp().sum()) == pytest.approx(1)
    assert torch.equal(bias.argsort(), counts)
