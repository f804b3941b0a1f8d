"""The parts of a text: for training, for choosing, for testing."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from archscout.errors import InputError
from archscout.text import Corpus

_HELD_OUT = 10


def splits(corpus: Corpus, encode: Callable[[list[str]], Tensor]) -> dict[str, Tensor]:
    """What is made of the parts for training (`train`), for choosing (`valid`), and of `test`.

    Of a text without splits the last tenth is held out for validation and the tenth before it for
    testing. A text with splits needs the first two.

    Args:
        corpus: the text.
        encode: what makes ids, or another number each, of tokens: (N,) for the words of a text.

    Returns:
        (N,) each.

    Raises:
        InputError: the text has splits, but not these.
    """
    if "all" in corpus.splits:
        ids = encode(corpus.tokens("all"))
        tenth = len(ids) // _HELD_OUT
        train, test, valid = ids.split([len(ids) - 2 * tenth, tenth, tenth])
        return {"train": train, "valid": valid, "test": test}
    if missing := [name for name in ("train", "valid") if name not in corpus.splits]:
        raise InputError(
            f"the text {corpus.name!r} has no {missing[0]} split: it has "
            f"{', '.join(corpus.names())};\ntraining needs train and valid, or files (not their "
            "folder), which are taken as one text without splits"
        )
    return {name: encode(corpus.tokens(name)) for name in corpus.names()}
