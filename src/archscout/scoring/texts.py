"""A minibatch for a module of one's own, from a text and a tokenizer of one's own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from archscout.errors import InputError
from archscout.scoring.arguments import TextSource
from archscout.text import EOS, Corpus, load_corpus
from archscout.text import minibatch as cut


def minibatch(
    text: TextSource,
    tokenizer: Callable[[str], Any],
    batch_size: int = 16,
    sequence_length: int = 64,
    index: int = 0,
) -> dict[str, Tensor]:
    """Cut a minibatch out of a text for `score_module`, as a tokenizer numbers it.

    The text is cut into B equal stretches, of which each gives T tokens, so none is padded.

    Args:
        text: a corpus, the name of one, or files; of a text in parts the first one is read.
        tokenizer: of transformers, or any function from a string to token ids, or to a mapping
            with `input_ids`.
        batch_size: B, in inputs.
        sequence_length: T, in tokens.
        index: which minibatch, from 0.

    Returns:
        `input_ids`, (B, T), by which models of transformers are called.

    Raises:
        InputError: the text is not there or too short, or the tokenizer gives no token ids.

    Examples:
        >>> import archscout
        >>> batch = archscout.minibatch("python-docs", lambda text: list(text.encode()), 2, 5)
        >>> batch["input_ids"].shape
        torch.Size([2, 5])
    """
    corpus = text if isinstance(text, Corpus) else load_corpus(text)
    words = ("\n" if token == EOS else token for token in corpus.tokens(corpus.names()[0]))
    given = tokenizer(" ".join(words))
    ids = given["input_ids"] if hasattr(given, "keys") else given
    ids = ids.tolist() if isinstance(ids, Tensor) else ids
    if not isinstance(ids, Sequence) or not all(isinstance(i, int) for i in ids):
        raise InputError(
            f"the tokenizer returned {type(given).__name__}; a list of token ids, or a mapping "
            "with one as input_ids, is accepted"
        )
    tokens = cut(torch.tensor(ids), sequence_length, batch_size, index)
    return {"input_ids": tokens.t().contiguous()}
