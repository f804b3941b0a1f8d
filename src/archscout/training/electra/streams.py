"""Text that is too large for memory: data sets of the Hugging Face hub, read on the fly.

Sequences are shuffled a block at a time: as many as the buffer holds are read, and given out in an
order that follows from the seed and the block's number. So a checkpoint needs to know only where
the block begins and how much of it was given out, and a resumed training reads the same sequences.

Shapes: N sequences, T tokens of each, V the vocabulary.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archscout.errors import InputError
from archscout.text import WordPiece
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.electra.sequences import PretrainingText, check_maskable, pack
from archscout.training.seeds import seed_of

_DOCUMENTS_AT_ONCE = 20
_HASHED_BYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class StreamedText:
    """A data set that is read as it is needed.

    Attributes:
        name: of the data set on the hub, such as `Skylion007/openwebtext`, or of a format of local
            files: `text`, `json`, `csv` or `parquet`.
        config: of the data set, where it has several.
        files: local files, of that format.
        split: that is trained on.
        column: that holds the text.
        valid_split: for validation; the first sequences of the training split by default, which
            are then not trained on.
        held_out: N, the most sequences of validation.
        buffer: sequences that are shuffled at a time.
    """

    name: str
    config: str | None = None
    files: tuple[str, ...] = ()
    split: str = "train"
    column: str = "text"
    valid_split: str | None = None
    held_out: int = 1000
    buffer: int = 10_000

    def __post_init__(self) -> None:
        for name in ("held_out", "buffer"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} of the data set is {getattr(self, name)}; accepted is a whole number "
                    "of at least 1"
                )
        if self.valid_split == self.split:
            raise InputError(
                f"split {self.split!r} of the data set is for training and validation both; name "
                "another for validation, or none, and sequences are held out"
            )

    def __str__(self) -> str:
        return self.name if self.config is None else f"{self.name}:{self.config}"


class Documents:
    """The documents of a data set's split, and where in it they are.

    Attributes:
        revision: what datasets calls the data set's version, such as a commit of the hub.
    """

    def __init__(self, text: StreamedText, split: str) -> None:
        try:
            from datasets import load_dataset_builder
        except ImportError as error:
            raise InputError(
                f"data sets need the package datasets ({error}); pip install 'archscout[train]'"
            ) from error
        files = list(text.files) or None
        if missing := [file for file in text.files if not os.path.isfile(file)]:
            raise InputError(f"no file {missing[0]!r} for the data set {str(text)!r}")
        self._text, self._split = text, split
        with _explained(self._name):
            builder = load_dataset_builder(text.name, text.config, data_files=files)
            self._dataset = builder.as_streaming_dataset(split=split)
        self.revision: str | None = builder.hash
        self._rows: Iterator[dict[str, Any]] = iter(self._dataset)

    @property
    def _name(self) -> str:
        return f"split {self._split!r} of the data set {str(self._text)!r}"

    def read(self, count: int) -> list[str]:
        """The next documents; fewer, or none, at the end."""
        with _explained(self._name):
            rows = list(islice(self._rows, count))
        column = self._text.column
        for row in rows:
            if not isinstance(row.get(column, 0), str | None):
                raise InputError(
                    f"the {self._name} has no text in a column {column!r}; it has "
                    f"{', '.join(name for name, value in row.items() if isinstance(value, str))}"
                )
        return [row[column] or "" for row in rows]  # an empty cell of a table is None

    def state(self) -> dict[str, Any]:
        """Where the next document is, as plain JSON types."""
        state: dict[str, Any] = self._dataset.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._dataset.load_state_dict(state)
        self._rows = iter(self._dataset)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Failures to read as messages; the library and its parsers have too many kinds to name."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"cannot read the {name}: {reason}") from error


@dataclasses.dataclass
class _Place:
    """Where a stream is: at a sequence of a block, which begins at a document.

    Attributes:
        block: its number, from 0.
        documents: where the first document of the block is.
        pending: ids of the pieces that were read before it and belong to the block.
        given: sequences of the block that were given out.
    """

    block: int
    documents: dict[str, Any]
    pending: list[int]
    given: int


class Streamed:
    """The sequences of a data set, shuffled a block at a time, pass after pass.

    Attributes:
        valid: sequences that are held out, (N, T).
        counts: (V,), how often each piece occurs in the first block.
        revision: of the data set, see `Documents`.
    """

    def __init__(
        self,
        text: StreamedText,
        tokenizer: WordPiece,
        sequence_length: int,
        seed: int,
        least: int = 1,
    ) -> None:
        self._text, self._tokenizer, self._seed = text, tokenizer, seed
        self._length = sequence_length
        self._documents = Documents(text, text.split)
        self.revision = self._documents.revision
        self._ids = torch.zeros(0, dtype=torch.long)
        self.valid = self._take_valid()
        # A pass begins with what was read along with the sequences that are held out.
        self._start, self._start_ids = self._documents.state(), self._ids
        self._check_length(least)
        self._place = _Place(0, self._start, self._ids.tolist(), 0)
        self._block = self._next_block()
        check_maskable(self._block, tokenizer, f"the data set {str(text)!r}")
        self.counts = self._block[:, 1:-1].flatten().bincount(minlength=len(tokenizer))

    def read(self, count: int) -> Tensor:
        """The next sequences, token ids (count, T)."""
        drawn: list[Tensor] = []
        while count:
            place = self._place
            if place.given == len(self._block):
                documents = self._documents.state()
                self._place = _Place(place.block + 1, documents, self._ids.tolist(), 0)
                self._block = self._next_block()
                continue
            part = self._block[place.given : place.given + count]
            drawn.append(part)
            place.given += len(part)
            count -= len(part)
        return torch.cat(drawn)

    def state(self) -> dict[str, Any]:
        """The place, as plain JSON types."""
        return dataclasses.asdict(self._place)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._place = _Place(**state)
        self._documents.restore(self._place.documents)
        self._ids = torch.tensor(self._place.pending, dtype=torch.long)
        self._block = self._next_block()

    def _next_block(self) -> Tensor:
        """The block that begins here, (N, T), in its order; it ends with the pass at the latest."""
        sequences = self._take(self._documents, self._text.buffer)
        if not len(sequences):
            self._documents.restore(self._start)
            self._ids = torch.cat([self._ids, self._start_ids])
            sequences = self._take(self._documents, self._text.buffer)
        generator = torch.Generator().manual_seed(seed_of(self._seed, self._place.block))
        return sequences[torch.randperm(len(sequences), generator=generator)]

    def _take_valid(self) -> Tensor:
        """The sequences of validation, (N, T); what is left over is trained on, or dropped."""
        text, split = self._text, self._text.valid_split
        if split is None:
            valid, name = self._take(self._documents, text.held_out), f"data set {str(text)!r}"
        else:
            valid = self._take(Documents(text, split), text.held_out)
            name = f"split {split!r} of the data set {str(text)!r}"
            self._ids = self._ids[:0]
        if not len(valid):
            raise InputError(
                f"the {name} is too short for validation: it has no sequence of length "
                f"{self._length}"
            )
        check_maskable(valid, self._tokenizer, f"the {name}")
        return valid

    def _check_length(self, least: int) -> None:
        """Make sure that a pass has so many sequences; the stream stays where it begins."""
        found = len(self._take(self._documents, least))
        if found < least:
            raise InputError(
                f"the data set {str(self._text)!r} is too short: {found} sequences of length "
                f"{self._length} are left to train on after {len(self.valid)} of validation, and "
                f"{least} are needed; take a longer one, hold fewer out (--dataset-set "
                "held_out=NUMBER), or take a smaller batch size or sequence length"
            )
        self._documents.restore(self._start)
        self._ids = self._start_ids

    def _take(self, documents: Documents, count: int) -> Tensor:
        """At most so many sequences, (N, T), of what is read; what is left over is kept."""
        inner = self._length - 2
        parts, total = [self._ids], len(self._ids)
        while total < count * inner and (found := documents.read(_DOCUMENTS_AT_ONCE)):
            ids = self._tokenizer.encode(word for text in found for word in text.split())
            parts.append(ids)
            total += len(ids)
        ids = torch.cat(parts)
        used = min(count, total // inner) * inner
        self._ids = ids[used:]
        return pack(ids[:used], self._tokenizer, self._length)


def streamed_text(
    text: StreamedText, tokenizer: WordPiece, settings: PretrainingSettings, seed: int
) -> PretrainingText:
    """A data set to pretrain on; it has no test part."""
    least = settings.batch_size * settings.accumulation
    stream = Streamed(text, tokenizer, settings.sequence_length, seed, least)
    identity = dataclasses.asdict(text) | {"files": list(text.files)}
    if text.files:  # of a reader of local files the revision is that of its code
        identity["content"] = [_content(Path(file)) for file in text.files]
    else:
        identity["revision"] = stream.revision
    return PretrainingText(str(text), identity, stream, stream.valid, None, stream.counts)


def _content(file: Path) -> str:
    """What tells a file from another: a hash, or where that takes long, size and time of change."""
    found = file.stat()
    if found.st_size > _HASHED_BYTES:
        return f"{found.st_size} bytes, {found.st_mtime_ns}"
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
