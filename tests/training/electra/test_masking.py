"""Which tokens are hidden."""

import pytest
import torch

from archscout.text import SPECIAL_PIECES, WordPiece
from archscout.training.electra.masking import COVERED_SHARE, Masking

PAD, UNKNOWN, CLS, SEP, MASK = range(5)


@pytest.fixture(scope="module")
def sequences(pieces: WordPiece) -> torch.Tensor:
    """Sequences of different lengths, with special pieces in the middle of some."""
    assert [pieces.id_of(piece) for piece in SPECIAL_PIECES] == [PAD, UNKNOWN, CLS, SEP, MASK]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(pieces), (400, 42), generator=generator)
    ids[:, 0], ids[:, -1] = CLS, SEP
    ids[::4, 20:] = PAD
    ids[1::4, 7] = SEP
    ids[2::4, 9] = MASK
    ids[3::4, 5] = UNKNOWN
    return ids


def test_a_fixed_share_is_chosen_and_most_of_it_covered(
    pieces: WordPiece, sequences: torch.Tensor
) -> None:
    batch = Masking(pieces, 0.15).mask(sequences, 0, COVERED_SHARE)
    expected = torch.tensor([3, 6, 6, 6]).repeat(100)  # of 20 and 42 tokens
    assert torch.equal(batch.chosen.sum(1), expected)
    covered = batch.inputs != batch.originals
    assert not (covered & ~batch.chosen).any()
    assert (batch.inputs[covered] == MASK).all()
    share = covered.sum() / batch.num_chosen
    assert 0.82 < share < 0.88
    assert torch.equal(batch.originals, sequences)
    whole = Masking(pieces, 0.15).mask(sequences, 0, 1.0)
    assert torch.equal(whole.chosen, batch.chosen) and (whole.inputs[whole.chosen] == MASK).all()


def test_special_tokens_and_padding_are_never_chosen(
    pieces: WordPiece, sequences: torch.Tensor
) -> None:
    batch = Masking(pieces, 0.9).mask(sequences, 0, 1.0)
    for special in (PAD, CLS, SEP, MASK):
        assert not batch.chosen[sequences == special].any()
    assert batch.chosen[sequences == UNKNOWN].any()  # text that the vocabulary lacks
    assert batch.present is not None and torch.equal(batch.present, sequences != PAD)
    assert batch.num_tokens == int((sequences != PAD).sum())


def test_every_position_is_as_likely(pieces: WordPiece) -> None:
    sequences = torch.full((4000, 12), 7)
    sequences[:, 0], sequences[:, -1] = CLS, SEP
    batch = Masking(pieces, 0.25).mask(sequences, 3, 1.0)
    assert batch.present is None and batch.num_tokens == sequences.numel()
    shares = batch.chosen.float().mean(0)
    assert shares[1:-1].allclose(torch.tensor(0.3), atol=0.03)
    assert 0.49 < batch.draws.mean() < 0.51


def test_at_least_one_token_is_chosen(pieces: WordPiece) -> None:
    batch = Masking(pieces, 0.01).mask(torch.tensor([[CLS, 9, 9, SEP]]), 0, 1.0)
    assert batch.num_chosen == 1


def test_the_seed_decides(pieces: WordPiece, sequences: torch.Tensor) -> None:
    masking = Masking(pieces, 0.15)
    first, again, other = (masking.mask(sequences, seed, 0.85) for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert a is not None and b is not None and torch.equal(a, b)
    assert not torch.equal(first.chosen, other.chosen)


def test_parts_of_a_batch(pieces: WordPiece, sequences: torch.Tensor) -> None:
    batch = Masking(pieces, 0.15).mask(sequences, 1, 0.85)
    parts = [batch.part(slice(0, 150)), batch.part(slice(150, 400))]
    for i, whole in enumerate(batch):
        assert whole is not None
        assert torch.equal(torch.cat([part[i] for part in parts]), whole)
