"""Minibatches as the published language models read them."""

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
    if ids.dim() != 1:
        raise InputError(f"token ids of shape {tuple(ids.shape)}; accepted is one dimension, (N,)")
    _check_at_least("sequence length", sequence_length, 1)
    _check_at_least("batch size", batch_size, 1)
    _check_at_least("minibatch index", index, 0)
    needed = batch_size * sequence_length * (index + 1)
    if len(ids) < needed:
        raise InputError(
            f"the text has {len(ids)} tokens, and minibatch {index} of sequence length "
            f"{sequence_length} and batch size {batch_size} needs {needed};\n"
            "take a longer text, or a smaller sequence length, batch size or index"
        )
    rows = len(ids) // batch_size
    columns = ids[: batch_size * rows].reshape(batch_size, rows)
    start = index * sequence_length
    return columns[:, start : start + sequence_length].t().contiguous()


def _check_at_least(name: str, value: object, least: int) -> None:
    if not (isinstance(value, int) and value >= least):
        raise InputError(f"{name} {value!r}: accepted is a whole number of at least {least}")
