"""Byte-level pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

from archscout.errors import InputError
from archscout.text import ByteLevel, WordPiece, load_corpus, load_vocabulary, tokenizer_for
from archscout.text.byte_level import END

TEXT = "the cat sat on the mat\nthe dog, größer, sat on the log\n" * 3


def used(merges: list[list[str]], byte: str) -> bool:
    """Whether a byte is part of a longer piece."""
    return any(byte in part for pair in merges for part in pair)


@pytest.fixture(scope="module")
def pieces() -> ByteLevel:
    return ByteLevel.train(TEXT, 300)


def test_any_text_comes_back(pieces: ByteLevel) -> None:
    for text in (TEXT, "größer ✓\t  two  spaces\r\n", "<|endoftext"):
        ids = pieces.encode(text)
        assert pieces.decode(ids.tolist()) == text
        assert int(pieces.byte_lengths()[ids].sum()) == len(text.encode())


PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False)


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer"),
    [
        (None, pre_tokenizers.ByteLevel()),  # "a b" becomes " a b"
        (normalizers.NFKC(), PLAIN),  # "\ufb01" becomes "fi"
        (normalizers.NFC(), PLAIN),
        (None, pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), PLAIN])),
        (None, pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "removed"), PLAIN])),
        (None, None),
    ],
)
def test_pieces_that_are_not_the_bytes_of_a_text_have_no_lengths(
    pieces: ByteLevel, normalizer: Any, pre_tokenizer: Any
) -> None:
    tokenizer = Tokenizer.from_str(pieces.definition)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    lengths = ByteLevel(tokenizer.to_str()).byte_lengths()
    assert lengths.shape == (len(pieces),) and bool(lengths.isnan().all())


def test_pieces_that_are_cut_otherwise_have_lengths(pieces: ByteLevel) -> None:
    tokenizer = Tokenizer.from_str(pieces.definition)
    split = pre_tokenizers.Split(Regex(r"\d"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, PLAIN])
    other, text = ByteLevel(tokenizer.to_str()), "1 größer\n22"
    assert int(other.byte_lengths()[other.encode(text)].sum()) == len(text.encode())


def test_pieces_of_added_tokens_are_counted_in_bytes(pieces: ByteLevel) -> None:
    tokenizer, text = Tokenizer.from_str(pieces.definition), "one größer two\n"
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), PLAIN])
    tokenizer.add_tokens([AddedToken("größer", normalized=False)])
    other = ByteLevel(tokenizer.to_str())
    assert int(other.byte_lengths()[other.encode(text)].sum()) == len(text.encode())
    tokenizer.add_tokens([AddedToken("two", lstrip=True, normalized=False)])
    assert bool(ByteLevel(tokenizer.to_str()).byte_lengths().isnan().all())


def test_pieces_of_some_bytes_alone_have_no_lengths(pieces: ByteLevel) -> None:
    definition = json.loads(pieces.definition)
    vocabulary, merges = definition["model"]["vocab"], definition["model"]["merges"]
    lost = next(byte for byte in pre_tokenizers.ByteLevel.alphabet() if not used(merges, byte))
    vocabulary[f"{lost}{lost}"] = vocabulary.pop(lost)
    assert bool(ByteLevel(json.dumps(definition)).byte_lengths().isnan().all())


def test_words_of_a_corpus_are_its_lines(pieces: ByteLevel) -> None:
    words = ["the", "cat", "<eos>", "<eos>", "sat"]
    assert pieces.decode(pieces.encode(words).tolist()) == "the cat\n\nsat"


def test_frequent_pairs_are_merged(pieces: ByteLevel) -> None:
    assert pieces.tokens[0] == END
    assert pieces.end == 0
    assert len(pieces) <= 300
    assert "Ġthe" in pieces.tokens
    assert len(pieces.encode("the cat sat")) < 6


def test_it_is_the_same_every_time() -> None:
    corpus = load_corpus("python-docs")
    one, other = (ByteLevel.train(corpus, 600) for _ in range(2))
    assert one == other
    assert len(one) == 600


def test_it_is_kept_and_read(pieces: ByteLevel, tmp_path: Path) -> None:
    pieces.save(tmp_path / "vocabulary.json")
    assert load_vocabulary(tmp_path / "vocabulary.json") == pieces
    pieces.save_pretrained(tmp_path / "folder")
    again = tokenizer_for("bpe", load_corpus("python-docs"), source=tmp_path / "folder")
    assert again.tokens == pieces.tokens
    fast = AutoTokenizer.from_pretrained(tmp_path / "folder")
    assert fast("the cat, größer")["input_ids"] == pieces.encode("the cat, größer").tolist()
    assert fast.decode(fast("the cat , sat.")["input_ids"]) == "the cat , sat."
    assert (fast.eos_token_id, fast.bos_token_id, fast.pad_token_id) == (0, 0, 0)


def test_minibatches_are_cut_out_of_the_stream(pieces: ByteLevel) -> None:
    corpus = load_corpus("python-docs")
    found = pieces.minibatch(corpus, "all", 6, 3)
    ids = pieces.encode(corpus.tokens("all"))
    assert found.shape == (6, 3)
    assert found[:, 0].equal(ids[:6])
    assert found.dtype == torch.int64


def test_what_is_refused(pieces: ByteLevel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vocabulary limit 256: accepted .* at least 257"):
        ByteLevel.train(TEXT, 256)
    with pytest.raises(InputError, match=r"no tokenizer .* accepted is byte-level BPE"):
        ByteLevel("{}")
    with pytest.raises(InputError, match="its model is WordPiece, not of bytes; accepted is byte"):
        ByteLevel(WordPiece.train(TEXT).definition)
    with pytest.raises(InputError, match="its model is BPE, not of bytes"):
        ByteLevel(Tokenizer(models.BPE()).to_str())
    endless = json.loads(pieces.definition)
    endless["added_tokens"] = []
    endless["model"]["vocab"]["other"] = endless["model"]["vocab"].pop(END)
    (tmp_path / "endless.json").write_text(json.dumps(endless), "utf-8")
    with pytest.raises(InputError, match=r"endless.json': it has none of the tokens <\|endoftext"):
        ByteLevel.load(tmp_path / "endless.json")
    with pytest.raises(InputError, match="vocabulary limit 300 for the tokenizer"):
        tokenizer_for("bpe", load_corpus("python-docs"), 300, tmp_path)
