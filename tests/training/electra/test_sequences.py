"""Text in sequences."""

from pathlib import Path

import pytest
import torch

from archscout.errors import InputError
from archscout.text import WordPiece, load_corpus
from archscout.training.electra.sequences import Shuffled, corpus_text, pack
from pretraining_runs import SETTINGS


def test_packing(pieces: WordPiece) -> None:
    packed = pack(torch.arange(10, 33), pieces, 12)
    assert packed.shape == (2, 12)
    assert packed[:, 0].tolist() == [2, 2] and packed[:, -1].tolist() == [3, 3]
    assert torch.equal(packed[:, 1:-1].flatten(), torch.arange(10, 30))


def test_every_pass_has_all_sequences_in_another_order() -> None:
    source = Shuffled(torch.arange(7)[:, None], seed=0)
    read = torch.cat([source.read(3) for _ in range(7)]).flatten().tolist()
    passes = [read[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(found) == list(range(7)) for found in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_source_goes_on_where_another_was() -> None:
    whole, cut = (Shuffled(torch.arange(7)[:, None], seed=1) for _ in range(2))
    whole.read(9)
    cut.restore(whole.state())
    assert torch.equal(whole.read(20), cut.read(20))


def test_a_corpus_in_parts(words: Path, pieces: WordPiece) -> None:
    corpus = load_corpus(words)
    text = corpus_text(corpus, pieces, SETTINGS, seed=0)
    ids = pieces.encode(corpus.tokens("all"))
    tenth = len(ids) // 10
    assert text.test is not None
    assert torch.equal(text.valid, pack(ids[-tenth:], pieces, 12))
    assert torch.equal(text.test, pack(ids[-2 * tenth : -tenth], pieces, 12))
    assert text.counts.sum() == len(ids) - 2 * tenth and len(text.counts) == len(pieces)
    assert text.identity == {"name": "words.txt", "sha256": corpus.sha256}


def test_a_text_that_is_too_small(words: Path, pieces: WordPiece) -> None:
    corpus = load_corpus(words)
    with pytest.raises(InputError, match=r"the train text has \d+ pieces, which are \d+ sequences"):
        corpus_text(corpus, pieces, SETTINGS.resized(batch_size=50, accumulation=10), 0)
    with pytest.raises(InputError, match=r"the valid text has \d+ pieces, which are 0 sequences"):
        corpus_text(corpus, pieces, SETTINGS.resized(sequence_length=200, batch_size=1), 0)


def test_a_text_without_a_token_that_may_be_masked(pieces: WordPiece, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("w1 w2 w3 w4 w5\n" * 90 + "[MASK] [MASK] [MASK] [MASK] [MASK]\n" * 30)
    with pytest.raises(InputError, match="the valid text has special tokens only"):
        corpus_text(load_corpus(text), pieces, SETTINGS, 0)
