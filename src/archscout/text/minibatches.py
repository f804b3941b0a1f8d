"""Minibatches as the published language models read them."""

from numbers import Integral

import torch

from archscout.errors import InputError


def minibatch(
    ids: torch.Tensor, sequence_length: int, batch_size: int, index: int = 0
) -> torch.Tensor:
    """Cut one minibatch out of a text.

    The text is cut into B equal columns, each a contiguous stretch of it, the remainder dropped;
    the minibatch is the rows index * T to index * T + T - 1. The published minibatch has T = 70,
    B = 50 and index 0 (Serianni and Kalita, ACL 2023, section 4, released code).

    Args:
        ids: The text's token ids, (N,).
        sequence_length: T, in time steps.
        batch_size: B, in inputs.
        index: Which minibatch, from 0.

    Returns:
        Token ids, (T, B).

    Raises:
        InputError: `ids` has another shape, a size is no whole number of at least 1, `index` none
            of at least 0, or the text has fewer than B * T * (index + 1) tokens.

    >>> minibatch(torch.arange(13), sequence_length=2, batch_size=3)
    tensor([[0, 4, 8],
            [1, 5, 9]])
    """
    check_at_least("sequence length", sequence_length, 1)
    return _cut(ids, sequence_length, batch_size, index, "tokens", sequence_length)


def framed_minibatch(
    ids: torch.Tensor, first: int, last: int, sequence_length: int, batch_size: int, index: int = 0
) -> torch.Tensor:
    """Cut one minibatch out of a text, each of its stretches between two fixed tokens.

    This is how encoders read (Devlin et al., 2019): `[CLS]` before and `[SEP]` after the pieces of
    each input. The rows between are those of `minibatch` with T - 2 rows.

    Args:
        ids: The text's token ids, (N,).
        first: The id of the first row.
        last: The id of the last row.
        sequence_length: T, in time steps, the two fixed rows included.
        batch_size: B, in inputs.
        index: Which minibatch, from 0.

    Returns:
        Token ids, (T, B).

    Raises:
        InputError: As for `minibatch`; T must be at least 3, and the text must have at least
            B * (T - 2) * (index + 1) tokens.

    >>> framed_minibatch(torch.arange(13), 90, 91, sequence_length=4, batch_size=3)
    tensor([[90, 90, 90],
            [ 0,  4,  8],
            [ 1,  5,  9],
            [91, 91, 91]])
    """
    check_at_least("sequence length", sequence_length, 3, ", as [CLS] and [SEP] take two steps")
    rows = _cut(ids, sequence_length - 2, batch_size, index, "pieces", sequence_length)
    return torch.cat(
        [rows.new_full((1, batch_size), first), rows, rows.new_full((1, batch_size), last)]
    )


def _cut(
    ids: torch.Tensor, rows: int, batch_size: int, index: int, unit: str, sequence_length: int
) -> torch.Tensor:
    """The rows index * rows and on of a text in B columns; the last two serve the message."""
    if ids.dim() != 1:
        raise InputError(f"token ids of shape {tuple(ids.shape)}; accepted is one dimension, (N,)")
    check_at_least("batch size", batch_size, 1)
    check_at_least("minibatch index", index, 0)
    needed = batch_size * rows * (index + 1)
    if len(ids) < needed:
        raise InputError(
            f"the text has {len(ids)} {unit}, and minibatch {index} of sequence length "
            f"{sequence_length} and batch size {batch_size} needs {needed};\n"
            "take a longer text, or a smaller sequence length, batch size or index"
        )
    length = len(ids) // batch_size
    columns = ids[: batch_size * length].reshape(batch_size, length)
    start = index * rows
    return columns[:, start : start + rows].t().contiguous()


def check_at_least(name: str, value: object, least: int, reason: str = "") -> None:
    """Make sure that a value is a whole number of at least so much."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(
            f"{name} {value!r}: accepted is a whole number of at least {least}{reason}"
        )
