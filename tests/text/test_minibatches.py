"""Minibatches cut from a text."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.text import load_corpus, minibatch

sizes = st.integers(1, 6)


@given(sizes, sizes, st.integers(0, 3), st.integers(0, 40))
def test_each_column_is_a_contiguous_stretch_of_the_text(
    sequence_length: int, batch_size: int, index: int, surplus: int
) -> None:
    count = batch_size * sequence_length * (index + 1) + surplus
    batch = minibatch(torch.arange(count), sequence_length, batch_size, index)
    assert batch.shape == (sequence_length, batch_size)
    for b in range(batch_size):
        first = b * (count // batch_size) + index * sequence_length
        assert batch[:, b].tolist() == list(range(first, first + sequence_length))


@given(sizes, sizes, st.integers(1, 4))
def test_successive_minibatches_continue_each_other(
    sequence_length: int, batch_size: int, count: int
) -> None:
    ids = torch.arange(batch_size * sequence_length * count)
    batches = [minibatch(ids, sequence_length, batch_size, index) for index in range(count)]
    one = minibatch(ids, sequence_length * count, batch_size)
    assert torch.equal(torch.cat(batches), one)


@given(sizes, sizes, st.integers(0, 3))
def test_one_token_too_few_is_refused_with_the_number_needed(
    sequence_length: int, batch_size: int, index: int
) -> None:
    needed = batch_size * sequence_length * (index + 1)
    with pytest.raises(InputError, match=rf"has {needed - 1} tokens.*needs {needed};\ntake a"):
        minibatch(torch.zeros(needed - 1, dtype=torch.long), sequence_length, batch_size, index)


@pytest.mark.parametrize(
    ("sequence_length", "batch_size", "index", "complaint"),
    [
        (0, 5, 0, "sequence length 0: .*at least 1"),
        (-7, 5, 0, "sequence length -7: .*at least 1"),
        (7, 0, 0, "batch size 0: .*at least 1"),
        (7, 2.5, 0, "batch size 2.5: .*whole number"),
        (7, 5, -1, "index -1: .*at least 0"),
    ],
)
def test_sizes_that_make_no_minibatch_are_refused(
    sequence_length: int, batch_size: int, index: int, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        minibatch(torch.arange(100), sequence_length, batch_size, index)


def test_ids_in_two_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(10, 10\)"):
        minibatch(torch.zeros(10, 10, dtype=torch.long), 2, 2)


def test_the_published_minibatch_reads_fifty_stretches_of_the_test_text(shared: Path) -> None:
    corpus = load_corpus(shared / "text" / "wikitext-2" / "test.txt")
    vocabulary = corpus.vocabulary()
    batch = minibatch(vocabulary.encode(corpus.tokens()), sequence_length=70, batch_size=50)
    assert batch.shape == (70, 50)
    assert vocabulary.decode(batch[:6, 0]) == ["<eos>", "=", "Robert", "<unk>", "=", "<eos>"]
    assert vocabulary.decode(batch[:, 1]) == corpus.tokens()[4911:4981]
