import numpy as np
import pytest
import torch

from archscout.errors import InputError
from archscout.text import Corpus
from archscout.training.parts import splits
from archscout.training.recurrent.columns import (
    columns,
    epoch_segments,
    even_segments,
    jittered_segments,
    read,
)


@pytest.mark.parametrize("rows", [2, 3, 6, 75, 400])
@pytest.mark.parametrize("seed", range(5))
def test_jittered_segments_cover_the_text_once(rows: int, seed: int) -> None:
    segments = list(jittered_segments(rows, 70, np.random.default_rng(seed)))
    covered = [row for s in segments for row in range(s.start, s.start + s.length)]
    assert covered == list(range(rows - 1))


def test_jitter_is_that_of_awd() -> None:
    segments = list(jittered_segments(1_000_000, 70, np.random.default_rng(0)))[:-1]
    lengths = np.array([s.length for s in segments])
    assert lengths.min() >= 5
    halved = lengths < 52
    assert 0.04 < halved.mean() < 0.06
    # int() cuts off half a token on the average.
    assert abs(lengths[~halved].mean() - 69.5) < 0.2 and abs(lengths[~halved].std() - 5) < 0.2
    assert abs(lengths[halved].mean() - 34.5) < 1
    assert all(s.scale == s.length / 70 for s in segments)


def test_short_lengths_are_at_least_five() -> None:
    segments = list(jittered_segments(1000, 6, np.random.default_rng(0)))[:-1]
    assert min(s.length for s in segments) == 5


def test_even_segments_cover_the_text_once() -> None:
    segments = list(even_segments(12, 5))
    assert [(s.start, s.length, s.scale) for s in segments] == [(0, 5, 1), (5, 5, 1), (10, 1, 1)]


def test_an_epochs_segments_follow_from_seed_and_epoch() -> None:
    first = epoch_segments(500, 20, True, 0, 1)
    assert first == epoch_segments(500, 20, True, 0, 1)
    assert first != epoch_segments(500, 20, True, 0, 2)
    assert first != epoch_segments(500, 20, True, 1, 1)


def test_targets_follow_tokens() -> None:
    text = columns(torch.arange(13), 3, "train")
    assert text.tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    (segment,) = even_segments(4, 70)
    tokens, targets = read(text, segment)
    assert torch.equal(tokens + 1, targets) and len(tokens) == 3


def test_too_small_a_text_for_the_batch() -> None:
    with pytest.raises(InputError, match="the valid text has 5 tokens, and batch size 3 needs 6"):
        columns(torch.arange(5), 3, "valid")


def corpus(**parts: int) -> Corpus:
    tokens = {name: tuple(f"w{i % 7}" for i in range(n)) for name, n in parts.items()}
    return Corpus("made up", tokens, "0" * 64, ("made up",))


def test_a_text_without_splits_is_cut_at_its_end() -> None:
    whole = corpus(all=105)
    vocabulary = whole.vocabulary()
    parts = splits(whole, vocabulary.encode)
    assert {name: len(ids) for name, ids in parts.items()} == {"train": 85, "test": 10, "valid": 10}
    joined = torch.cat([parts[name] for name in ("train", "test", "valid")])
    assert torch.equal(joined, vocabulary.encode(whole.tokens("all")))


def test_splits_are_taken_as_they_are() -> None:
    text = corpus(train=20, valid=9, test=8)
    parts = splits(text, text.vocabulary().encode)
    assert {name: len(ids) for name, ids in parts.items()} == {"train": 20, "valid": 9, "test": 8}


@pytest.mark.parametrize("parts", [{"valid": 9, "test": 8}, {"train": 20, "test": 8}])
def test_splits_without_train_or_valid(parts: dict[str, int]) -> None:
    text = corpus(**parts)
    with pytest.raises(InputError, match=r"'made up' has no (train|valid) split"):
        splits(text, text.vocabulary().encode)
