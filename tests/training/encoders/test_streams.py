"""Data sets that are read on the fly, from local files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from archscout.errors import InputError
from archscout.text import WordPiece
from archscout.training import StreamedText
from archscout.training.encoders.sequences import pack
from archscout.training.encoders.streams import Streamed, streamed_text

pytest.importorskip("datasets")
T = 12


@pytest.fixture(autouse=True)
def no_cache_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def stream(words: Path, pieces: WordPiece, seed: int = 0, **changes: Any) -> Streamed:
    text = StreamedText("text", files=(str(words),), **{"held_out": 5, "buffer": 16, **changes})
    return Streamed(text, pieces, T, seed)


def test_all_of_the_text_is_read_and_none_of_what_is_held_out(
    words: Path, pieces: WordPiece
) -> None:
    ids = pieces.encode(words.read_text().split())
    whole = pack(ids, pieces, T)
    found = stream(words, pieces)
    assert torch.equal(found.valid, whole[:5])
    read = found.read(len(whole) - 5)
    assert sorted(read.tolist()) == sorted(whole[5:].tolist())
    assert not torch.equal(read, whole[5:])  # shuffled
    assert sorted(read[:16].tolist()) == sorted(whole[5:21].tolist())  # within a block
    assert found.counts.sum() == 16 * T


def test_the_seed_decides_the_order(words: Path, pieces: WordPiece) -> None:
    first, again, other = (stream(words, pieces, seed).read(30) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("before", [0, 7, 16, 40, 150])  # within blocks, between, in later passes
def test_a_stream_goes_on_where_another_was(words: Path, pieces: WordPiece, before: int) -> None:
    whole, cut = stream(words, pieces), stream(words, pieces)
    if before:
        whole.read(before)
    cut.restore(json.loads(json.dumps(whole.state())))
    assert torch.equal(whole.read(150), cut.read(150))


def test_other_formats_and_columns(words: Path, pieces: WordPiece, tmp_path: Path) -> None:
    lines = words.read_text().splitlines()
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"id": i, "body": line}) for i, line in enumerate(lines)))
    expected = stream(words, pieces).read(20)
    found = StreamedText("json", files=(str(rows),), column="body", held_out=5, buffer=16)
    assert torch.equal(streamed_text(found, pieces, T, 0).train.read(20), expected)
    parquet = tmp_path / "rows.parquet"
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"text": lines}).to_parquet(parquet)
    found = StreamedText("parquet", files=(str(parquet),), held_out=5, buffer=16)
    source = streamed_text(found, pieces, T, 0).train
    assert torch.equal(source.read(20), expected)
    again = streamed_text(found, pieces, T, 0).train
    again.restore(source.state())
    assert torch.equal(source.read(90), again.read(90))


def test_a_validation_split(words: Path, pieces: WordPiece) -> None:
    found = stream(words, pieces, valid_split="train", held_out=8, buffer=1000)
    whole = pack(pieces.encode(words.read_text().split()), pieces, T)
    assert torch.equal(found.valid, whole[:8])
    assert sorted(found.read(len(whole)).tolist()) == sorted(whole.tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column": "body"}, "has no text in a column 'body'; it has text"),
        ({"split": "dev"}, "cannot read the split 'dev' of the data set 'text'"),
        ({"held_out": 10_000}, "nothing is left to train on after"),
        ({"files": ("nowhere.txt",)}, r"no file 'nowhere.txt' for the data set 'text'"),
        ({"held_out": 0}, "held_out of the data set is 0"),
        ({"buffer": 0}, "buffer of the data set is 0"),
    ],
)
def test_bad_data_sets_are_named(
    words: Path, pieces: WordPiece, changes: dict[str, Any], message: str
) -> None:
    given = {"files": (str(words),), **changes}
    with pytest.raises(InputError, match=message):
        Streamed(StreamedText("text", **given), pieces, T, 0)


def test_an_empty_data_set(pieces: WordPiece, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n\n")
    with pytest.raises(InputError, match="too short to hold anything out"):
        Streamed(StreamedText("text", files=(str(empty),)), pieces, T, 0)
