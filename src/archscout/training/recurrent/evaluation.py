"""How well a language model predicts a text."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archscout.errors import InputError
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.training.outcome import Loss
from archscout.training.recurrent.columns import even_segments, read
from archscout.training.recurrent.network import training_loss


def evaluate(
    model: RecurrentLanguageModel,
    text: Tensor,
    sequence_length: int = 70,
    byte_lengths: Tensor | None = None,
) -> Loss:
    """The loss on a text in columns, read from its start to its end with the state carried on.

    Args:
        model: any; dropout is off, and its mode is left as it was.
        text: token ids, (rows, B).
        sequence_length: rows that are read at a time, which only the memory depends on.
        byte_lengths: of the tokens, (rows, B), NaN where one stands for others.

    Returns:
        The loss over all rows but the first, which nothing predicts.

    Raises:
        InputError: there are not two rows, or none are read at a time.
    """
    if len(text) < 2 or sequence_length < 1:
        raise InputError(
            f"{len(text)} rows of text, {sequence_length} read at a time; accepted are at least 2, "
            "and at least 1 at a time"
        )
    mode = model.training
    model.eval()
    total = 0.0
    with torch.no_grad():
        states = model.initial_state(text.shape[1])
        for segment in even_segments(len(text), sequence_length):
            tokens, targets = read(text, segment)
            _, entropy, states = training_loss(model, tokens, targets, states)
            total += float(entropy) * segment.length
    model.train(mode)
    num_bytes = math.nan if byte_lengths is None else float(byte_lengths[1:].sum())
    return Loss(
        nats=total / (len(text) - 1),
        tokens=(len(text) - 1) * text.shape[1],
        bytes=None if math.isnan(num_bytes) else int(num_bytes),
    )
