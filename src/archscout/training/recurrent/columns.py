"""How a text is read in training: in columns side by side, segment after segment.

Source: Merity et al. 2018, "Regularizing and optimizing LSTM language models", section 5 and the
released code (`batchify`, `get_batch` and the training loop).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from archscout.errors import InputError
from archscout.training.seeds import seed_of

_JITTER = 5.0
_SHORTEST = 5
_HALVED = 0.05


class Segment(NamedTuple):
    """A stretch of the text, as gradients flow back through it.

    Attributes:
        start: the first row that is read.
        length: T, rows that are read; each row is to be predicted from the one before it.
        scale: of the learning rate.
    """

    start: int
    length: int
    scale: float


def columns(ids: Tensor, batch_size: int, part: str) -> Tensor:
    """A text in B equal columns, the remainder dropped.

    Args:
        ids: of the tokens, (N,).
        batch_size: B.
        part: what the text is, for the message.

    Returns:
        (N // B, B).
    """
    length = len(ids) // batch_size
    if length < 2:
        raise InputError(
            f"the {part} text has {len(ids)} tokens, and batch size {batch_size} needs "
            f"{2 * batch_size}; take a longer text, or a smaller batch size"
        )
    return ids[: length * batch_size].reshape(batch_size, length).t().contiguous()


def even_segments(rows: int, length: int) -> Iterator[Segment]:
    """Segments of one length, the last one of what is left; all rows but the last are read."""
    for start in range(0, rows - 1, length):
        yield Segment(start, min(length, rows - 1 - start), 1.0)


def jittered_segments(rows: int, length: int, generator: np.random.Generator) -> Iterator[Segment]:
    """Segments of random length, as in AWD-LSTM; all rows but the last are read.

    The length is normal around `length`, or, once in twenty, around its half, with a standard
    deviation of 5, and at least 5. The learning rate is in proportion to the length drawn.
    """
    start = 0
    while start < rows - 1:
        mean = length / 2 if generator.random() < _HALVED else length
        drawn = max(_SHORTEST, int(generator.normal(mean, _JITTER)))
        yield Segment(start, min(drawn, rows - 1 - start), drawn / length)
        start += drawn


def read(text: Tensor, segment: Segment) -> tuple[Tensor, Tensor]:
    """The tokens of a segment and those that follow each, (T, B) both."""
    end = segment.start + segment.length
    return text[segment.start : end], text[segment.start + 1 : end + 1]


def epoch_segments(rows: int, length: int, jitter: bool, seed: int, epoch: int) -> list[Segment]:
    """The segments of one epoch, which follow from the seed and the epoch's number."""
    if not jitter:
        return list(even_segments(rows, length))
    return list(jittered_segments(rows, length, np.random.default_rng(seed_of(seed, epoch))))
