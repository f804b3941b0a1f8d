"""Text as encoders read it in pretraining: sequences from `[CLS]` to `[SEP]`.

Shapes: N sequences, T tokens of each, V the vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import torch
from torch import Tensor

from archscout.errors import InputError
from archscout.text import Corpus, WordPiece
from archscout.text.wordpiece_training import CLS, SEP
from archscout.training.electra.masking import kept_ids
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.parts import splits
from archscout.training.seeds import seed_of


class Source(Protocol):
    """Sequences to train on, one after the other and without end."""

    def read(self, count: int) -> Tensor:
        """The next sequences, token ids (count, T)."""

    def state(self) -> dict[str, Any]:
        """Where it is, as plain JSON types."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where another source of the same text and seed was."""


@dataclasses.dataclass(frozen=True)
class PretrainingText:
    """A text to pretrain on.

    Attributes:
        name: what messages call it.
        identity: what a resumed training compares, plain JSON types.
        train: sequences to train on.
        valid: sequences to choose by, (N, T).
        test: sequences to test on, (N, T); None where there are none.
        counts: (V,), how often each piece occurs in the training text (in the first of it, where
            it is streamed), for the unigram that an encoder must beat.
    """

    name: str
    identity: dict[str, Any]
    train: Source
    valid: Tensor
    test: Tensor | None
    counts: Tensor


def pack(ids: Tensor, tokenizer: WordPiece, sequence_length: int) -> Tensor:
    """Cut a text into sequences, `[CLS]` before and `[SEP]` after each; the remainder is dropped.

    Args:
        ids: of the text's pieces, (n,).
        tokenizer: that they are from.
        sequence_length: T, at least 3.

    Returns:
        (n // (T - 2), T).
    """
    inner = sequence_length - 2
    count = len(ids) // inner
    rows = ids[: count * inner].reshape(count, inner)
    first = rows.new_full((count, 1), tokenizer.id_of(CLS))
    return torch.cat([first, rows, torch.full_like(first, tokenizer.id_of(SEP))], 1)


def check_maskable(sequences: Tensor, tokenizer: WordPiece, name: str) -> None:
    """Make sure that there is something to predict.

    Args:
        sequences: token ids (N, T).
        tokenizer: of encoders.
        name: of the text, for the message.
    """
    if bool(torch.isin(sequences, kept_ids(tokenizer)).all()):
        raise InputError(f"{name} has special tokens only, of which none is masked; take another")


class Shuffled:
    """The sequences of a text in memory, in another order in every pass over them.

    Args:
        sequences: (N, T).
        seed: of the orders.
    """

    def __init__(self, sequences: Tensor, seed: int) -> None:
        self._sequences, self._seed = sequences, seed
        self._position = 0
        self._order: tuple[int, Tensor] = (-1, sequences)

    def read(self, count: int) -> Tensor:
        """The next sequences, token ids (count, T)."""
        drawn: list[Tensor] = []
        while count:
            epoch, start = divmod(self._position, len(self._sequences))
            part = self._sequences[self._epoch_order(epoch)[start : start + count]]
            drawn.append(part)
            self._position += len(part)
            count -= len(part)
        return torch.cat(drawn)

    def state(self) -> dict[str, Any]:
        """The number of sequences read."""
        return {"position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._position = state["position"]

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_of(self._seed, epoch))
            self._order = (epoch, torch.randperm(len(self._sequences), generator=generator))
        return self._order[1]


def corpus_text(
    corpus: Corpus, tokenizer: WordPiece, settings: PretrainingSettings, seed: int
) -> PretrainingText:
    """A corpus to pretrain on.

    Args:
        corpus: of a text without splits the last tenth is held out for validation, and the tenth
            before it for testing.
        tokenizer: of encoders.
        settings: sequence length and batch size.
        seed: of the order.

    Raises:
        InputError: the text has splits, but not train and valid, or a part is too short or has
            nothing to mask.
    """
    ids = splits(corpus, tokenizer.encode)
    parts = {
        part: pack(pieces, tokenizer, settings.sequence_length) for part, pieces in ids.items()
    }
    for part, sequences in parts.items():
        needed = settings.batch_size * settings.accumulation if part == "train" else 1
        if len(sequences) < needed:
            raise InputError(
                f"the {part} text has {len(ids[part])} pieces, which are {len(sequences)} "
                f"sequences of length {settings.sequence_length}, and {needed} are needed; take a "
                "longer text, or a smaller batch size or sequence length"
            )
        check_maskable(sequences, tokenizer, f"the {part} text")
    return PretrainingText(
        name=corpus.name,
        identity={"name": corpus.name, "sha256": corpus.sha256},
        train=Shuffled(parts["train"], seed),
        valid=parts["valid"],
        test=parts.get("test"),
        counts=ids["train"].bincount(minlength=len(tokenizer)),
    )
