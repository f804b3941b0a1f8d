"""What vocabularies of words and of pieces have in common."""

import os
from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class SplitText(Protocol):
    """What a tokenizer reads of a corpus."""

    def names(self) -> tuple[str, ...]:
        """The splits in the order in which a vocabulary counts them."""

    def tokens(self, split: str | None = None) -> list[str]:
        """The words of one split, line ends as `<eos>` among them."""


class Tokenizer(Protocol):
    """Numbers the tokens of a text: `Vocabulary` its words, others pieces of it."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens in the order of their ids."""

    @property
    def mask_token(self) -> int | None:
        """The id of the token that hides others, None where there is none."""

    def __len__(self) -> int:
        """The number of tokens, V."""

    def minibatch(
        self,
        corpus: SplitText,
        split: str | None,
        sequence_length: int,
        batch_size: int,
        index: int = 0,
    ) -> torch.Tensor:
        """Cut one minibatch out of a split, as the networks that read such tokens expect it.

        Args:
            corpus: The text.
            split: One of its splits; None as for `Corpus.tokens`.
            sequence_length: T, in time steps.
            batch_size: B, in inputs.
            index: Which minibatch, from 0.

        Returns:
            Token ids, (T, B), int64.

        Raises:
            InputError: The corpus has no such split, a size is out of range, the text is too
                short, or a token has no id.
        """

    def describe(self) -> str:
        """What it does with a text, to follow `The tokenizer`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON file, which `load_vocabulary` reads.

        Raises:
            InputError: The file cannot be written.
        """

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write a tokenizer that transformers loads from the folder.

        Raises:
            InputError: The folder cannot be written.
        """
