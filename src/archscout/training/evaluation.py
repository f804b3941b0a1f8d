"""How well a language model predicts a text."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.training.network import training_loss
from archscout.training.segments import even_segments, read


class Loss(NamedTuple):
    """A language model's loss on a text.

    Attributes:
        nats: mean negative log-likelihood of a token. A token is a word or the end of a line.
        tokens: that were predicted.
    """

    nats: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """The exponential of the loss; infinite where that overflows."""
        try:
            return math.exp(self.nats)
        except OverflowError:
            return math.inf

    @property
    def bits(self) -> float:
        """The loss in bits a token."""
        return self.nats / math.log(2)


def evaluate(model: RecurrentLanguageModel, text: Tensor, sequence_length: int = 70) -> Loss:
    """The loss on a text in columns, read from its start to its end with the state carried on.

    Args:
        model: any; dropout is off, and its mode is left as it was.
        text: token ids, (rows, B).
        sequence_length: rows that are read at a time, which only the memory depends on.

    Returns:
        The loss over all rows but the first, which nothing predicts.
    """
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
    return Loss(total / (len(text) - 1), (len(text) - 1) * text.shape[1])
