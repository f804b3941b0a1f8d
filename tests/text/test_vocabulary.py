"""The numbering of tokens."""

import json
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from archscout.errors import InputError
from archscout.text import EOS, UNK, ByteLevel, Vocabulary

tokens_of_a_text = st.lists(
    st.one_of(st.sampled_from(["a", "b", "c", "d", UNK, EOS]), st.text(min_size=1, max_size=3)),
    min_size=1,
    max_size=60,
)


def test_ids_follow_the_first_appearance() -> None:
    vocabulary = Vocabulary.from_tokens(["b", "a", "b", EOS, "c", "a"])
    assert vocabulary.tokens == ("b", "a", EOS, "c")
    ids = vocabulary.encode(["c", "b", EOS])
    assert ids.dtype == torch.long
    assert ids.tolist() == [3, 0, 2]


def test_without_a_limit_unk_has_an_id_only_where_it_occurs() -> None:
    assert UNK not in Vocabulary.from_tokens(["a", "b"])
    assert Vocabulary.from_tokens(["a", UNK, "b"]).tokens == ("a", UNK, "b")


@given(tokens_of_a_text)
def test_decoding_undoes_encoding(tokens: list[str]) -> None:
    vocabulary = Vocabulary.from_tokens(tokens)
    ids = vocabulary.encode(tokens)
    assert ids.shape == (len(tokens),)
    assert vocabulary.decode(ids) == tokens
    assert vocabulary.decode(ids.tolist()) == tokens
    assert len(vocabulary) == len(set(tokens)) == ids.max() + 1


@given(tokens_of_a_text, st.integers(2, 12))
def test_a_limit_keeps_the_most_frequent_tokens(tokens: list[str], limit: int) -> None:
    full = Vocabulary.from_tokens(tokens).tokens
    kept = Vocabulary.from_tokens(tokens, limit).tokens
    assert len(kept) == min(limit, len({*full, UNK}))
    assert UNK in kept
    assert (EOS in kept) == (EOS in full)
    # Frequency first, then the earlier appearance: nothing left out outranks anything kept.
    counts = Counter(tokens)
    rank = {token: (counts[token], -place) for place, token in enumerate(full)}
    ranks_kept = [rank[token] for token in kept if token not in (UNK, EOS)]
    ranks_left_out = [rank[token] for token in full if token not in kept]
    if ranks_kept and ranks_left_out:
        assert min(ranks_kept) > max(ranks_left_out)


@given(tokens_of_a_text, st.integers(2, 12))
def test_a_limit_leaves_the_order_of_first_appearance(tokens: list[str], limit: int) -> None:
    full = Vocabulary.from_tokens(tokens).tokens
    kept = Vocabulary.from_tokens(tokens, limit).tokens
    in_order = [token for token in full if token in kept]
    assert list(kept) == (in_order if UNK in full else [*in_order, UNK])


@given(tokens_of_a_text, st.integers(2, 12))
def test_tokens_beyond_the_limit_become_unk(tokens: list[str], limit: int) -> None:
    vocabulary = Vocabulary.from_tokens(tokens, limit)
    expected = [token if token in vocabulary else UNK for token in tokens]
    assert vocabulary.decode(vocabulary.encode(tokens)) == expected


@pytest.mark.parametrize("limit", [1, 0, -3, 2.5, "100"])
def test_a_limit_below_two_or_not_whole_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match=rf"limit '?{limit}'?: .*at least 2"):
        Vocabulary.from_tokens(["a", "b"], limit)


@pytest.mark.parametrize("limit", [None, 5])
def test_a_vocabulary_of_no_tokens_is_refused(limit: int | None) -> None:
    with pytest.raises(InputError, match="without tokens"):
        Vocabulary.from_tokens([], limit)


def test_encoding_a_token_without_an_id_names_it() -> None:
    with pytest.raises(InputError, match="'zebra' is not in this vocabulary of 2 tokens"):
        Vocabulary.from_tokens(["a", "b"]).encode(["a", "zebra"])


@pytest.mark.parametrize("number", [-1, 2])
def test_decoding_an_id_out_of_range_names_it(number: int) -> None:
    with pytest.raises(InputError, match=rf"id {number} at position 1: accepted are 0 to 1"):
        Vocabulary.from_tokens(["a", "b"]).decode([0, number])


def test_decoding_a_minibatch_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3\)"):
        Vocabulary.from_tokens(["a", "b"]).decode(torch.zeros(2, 3, dtype=torch.long))


def test_membership_and_equality_are_those_of_the_tokens() -> None:
    vocabulary = Vocabulary(("a", "b"))
    assert "a" in vocabulary
    assert "c" not in vocabulary
    assert vocabulary == Vocabulary.from_tokens(["a", "b", "a"])
    assert vocabulary != Vocabulary(("b", "a"))


def test_a_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Vocabulary(("a",)).tokens = ("b",)  # type: ignore[misc]


def test_a_large_vocabulary_prints_as_one_short_line() -> None:
    assert repr(Vocabulary(("a", "b"))) == "<Vocabulary of 2 tokens>"


@given(tokens_of_a_text)
def test_loading_undoes_saving(tmp_path_factory: pytest.TempPathFactory, tokens: list[str]) -> None:
    vocabulary = Vocabulary.from_tokens(tokens)
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert json.loads(path.read_text(encoding="utf-8")) == list(vocabulary.tokens)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[", "is not JSON"),
        (b'["\xff"]', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": 0}', 'holds {"a": 0}; accepted is a JSON list'),
        (b"[]", "without tokens"),
        (b'["a", 1]', "1 at id 1 is no token"),
        (b'["a", ["b"]]', r"\['b'\] at id 1 is no token"),
        (b'["a", "b", "a"]', "'a' stands at id 0 and at id 2"),
    ],
    ids=["cut short", "not UTF-8", "too deep", "object", "empty", "number", "list", "twice"],
)
def test_a_malformed_file_is_refused_by_name(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.json'.*{complaint}"):
        Vocabulary.load(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*absent\.json'"):
        Vocabulary.load(tmp_path / "absent.json")


def test_a_place_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*absent.*v\.json'"):
        Vocabulary(("a",)).save(tmp_path / "absent" / "v.json")


def test_a_description_says_what_becomes_of_other_words() -> None:
    one, other = (
        " ".join(Vocabulary(tokens).describe().split()) for tokens in (("a", UNK), ("a",))
    )
    assert one.endswith("knows 2 tokens; every other word becomes `<unk>`")
    assert "there is no `<unk>` among them, so it raises an error at every other word" in other
    assert "`--vocabulary-size N`" in other


@given(st.lists(st.sampled_from(["a", "bc", "é", UNK, EOS]), min_size=1, max_size=30))
def test_words_have_the_bytes_that_pieces_have(tokens: list[str]) -> None:
    pieces = ByteLevel.train(" ".join(tokens))
    lengths = Vocabulary.from_tokens(tokens).byte_lengths(tokens)
    assert len(lengths) == len(tokens)
    assert lengths.sum() == pieces.byte_lengths()[pieces.encode(tokens)].sum()


def test_what_stands_for_other_words_has_no_length() -> None:
    tokens = ["to", "be", "or", "not", "to", "be", UNK]
    lengths = Vocabulary.from_tokens(tokens, limit=3).byte_lengths(tokens)
    assert lengths.isnan().tolist() == [False, False, True, True, False, False, False]
    assert lengths[-1] == len(f" {UNK}")  # which stands in the text itself


def test_what_the_tokenizers_library_cannot_write_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Exception("No space left on device (os error 28)")

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", full)
    with pytest.raises(InputError, match=r"cannot write the tokenizer .*No space left"):
        Vocabulary(("a", "<unk>")).save_pretrained(tmp_path / "out")
