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
from archscout.training.electra.sequences import pack
from archscout.training.electra.streams import Documents, Streamed, streamed_text
from pretraining_runs import SETTINGS

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
    inner = whole[:, 1:-1][5:21].flatten()
    assert torch.equal(found.counts, inner.bincount(minlength=len(pieces)))


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
    assert torch.equal(streamed_text(found, pieces, SETTINGS, 0).train.read(20), expected)
    parquet = tmp_path / "rows.parquet"
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"text": lines}).to_parquet(parquet)
    found = StreamedText("parquet", files=(str(parquet),), held_out=5, buffer=16)
    source = streamed_text(found, pieces, SETTINGS, 0).train
    assert torch.equal(source.read(20), expected)
    again = streamed_text(found, pieces, SETTINGS, 0).train
    again.restore(source.state())
    assert torch.equal(source.read(90), again.read(90))


def splits(folder: Path, train: str, validation: str) -> StreamedText:
    """A data set of files with a split for validation."""
    folder.mkdir(exist_ok=True)
    (folder / "train.txt").write_text(train)
    (folder / "validation.txt").write_text(validation)
    return StreamedText(str(folder), valid_split="validation", held_out=8, buffer=1000)


def test_a_validation_split(words: Path, pieces: WordPiece, tmp_path: Path) -> None:
    lines = words.read_text().splitlines()
    train, validation = "\n".join(lines[:-20]), "\n".join(lines[-20:])
    found = Streamed(splits(tmp_path / "data", train, validation), pieces, T, 0)
    assert torch.equal(found.valid, pack(pieces.encode(validation.split()), pieces, T)[:8])
    whole = pack(pieces.encode(train.split()), pieces, T)
    assert sorted(found.read(len(whole)).tolist()) == sorted(whole.tolist())


def test_an_empty_validation_split(words: Path, pieces: WordPiece, tmp_path: Path) -> None:
    text = splits(tmp_path / "data", words.read_text(), "w1")
    with pytest.raises(InputError, match=r"the split 'validation' of the data set .* is too short"):
        Streamed(text, pieces, T, 0)


def test_later_passes_have_what_was_read_along_with_what_is_held_out(
    words: Path, pieces: WordPiece, tmp_path: Path
) -> None:
    few = tmp_path / "few.txt"  # documents that are all read for the sequences that are held out
    few.write_text("\n".join(words.read_text().splitlines()[:18]))
    found = stream(few, pieces, buffer=1000)
    rest = pieces.encode(few.read_text().split())[5 * (T - 2) :]
    whole, left = pack(rest, pieces, T), len(rest) % (T - 2)
    assert left, "the remainder is carried into the second pass"
    second = pack(torch.cat([rest[-left:], rest]), pieces, T)
    assert sorted(found.read(len(whole)).tolist()) == sorted(whole.tolist())
    assert sorted(found.read(len(second)).tolist()) == sorted(second.tolist())
    resumed = stream(few, pieces, buffer=1000)
    resumed.restore(json.loads(json.dumps(found.state())))
    assert torch.equal(found.read(40), resumed.read(40))


def test_a_pass_has_a_batch_at_least(words: Path, pieces: WordPiece) -> None:
    left = len(pack(pieces.encode(words.read_text().split()), pieces, T)) - 5
    text = StreamedText("text", files=(str(words),), held_out=5, buffer=3)
    read = streamed_text(text, pieces, SETTINGS.resized(batch_size=left), 0).train
    assert len(read.read(left)) == left
    with pytest.raises(InputError, match=rf"too short: {left} sequences .* {2 * left} are needed"):
        streamed_text(text, pieces, SETTINGS.resized(batch_size=left, accumulation=2), 0)


def test_a_text_of_masks_has_nothing_to_predict(pieces: WordPiece, tmp_path: Path) -> None:
    masks = tmp_path / "masks.txt"
    masks.write_text("[MASK] [MASK] [MASK] [MASK] [MASK]\n" * 100)
    with pytest.raises(InputError, match="the data set 'text' has special tokens only"):
        stream(masks, pieces)


def test_another_content_is_another_text(
    words: Path, pieces: WordPiece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.txt"
    text = StreamedText("text", files=(str(copy),), held_out=5)

    def identity(content: str) -> Any:
        copy.write_text(content)
        return streamed_text(text, pieces, SETTINGS, 0).identity

    first = identity(words.read_text())
    assert json.loads(json.dumps(first)) == first == identity(words.read_text())
    assert identity(words.read_text().replace("w1 ", "w2 ")) != first  # of the same size
    monkeypatch.setattr("archscout.training.electra.streams._HASHED_BYTES", 10)
    assert identity(words.read_text())["content"][0].startswith(f"{copy.stat().st_size} bytes, ")
    hub = splits(tmp_path / "data", words.read_text(), words.read_text())
    assert streamed_text(hub, pieces, SETTINGS, 0).identity["revision"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column": "body"}, "has no text in a column 'body'; it has text"),
        ({"split": "dev"}, "cannot read the split 'dev' of the data set 'text'"),
        ({"held_out": 10_000}, "too short: 0 sequences of length 12 are left to train on after"),
        ({"files": ("nowhere.txt",)}, r"no file 'nowhere.txt' for the data set 'text'"),
        ({"held_out": 0}, "held_out of the data set is 0"),
        ({"buffer": 0}, "buffer of the data set is 0"),
        ({"valid_split": "train"}, "split 'train' of the data set is for training and validation"),
    ],
)
def test_bad_data_sets_are_named(
    words: Path, pieces: WordPiece, changes: dict[str, Any], message: str
) -> None:
    given = {"files": (str(words),), **changes}
    with pytest.raises(InputError, match=message):
        Streamed(StreamedText("text", **given), pieces, T, 0)


def test_a_row_without_a_text_has_none_to_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one"}\n{"text": null}\n{"text": "three"}\n')
    documents = Documents(StreamedText("json", files=(str(path),)), "train")
    assert documents.read(9) == ["one", "", "three"]


def test_an_empty_data_set(pieces: WordPiece, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n\n")
    with pytest.raises(InputError, match="the data set 'text' is too short for validation"):
        Streamed(StreamedText("text", files=(str(empty),)), pieces, T, 0)
