"""What any training comes to: a loss, or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from archscout.errors import InputError


class Untrainable(InputError):
    """A network that cannot be trained, where others may be."""


class Diverged(Untrainable):
    """The loss or its gradient is no longer a number."""


class Paused(NamedTuple):
    """Where a training stopped that is not over.

    Attributes:
        loss: of the validation part there, what `Trainer.loss` is of it, nats.
        done: part of the tokens that were trained on, at most 1.
        tokens: that is.
        seconds: of training so far, evaluation left out.
    """

    loss: float
    done: float
    tokens: int
    seconds: float


class Loss(NamedTuple):
    """A model's loss on a text.

    Attributes:
        nats: mean negative log-likelihood of a token that was to be predicted. For recurrent
            language models a token is a word or the end of a line.
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


def check_finite(losses: Mapping[str, float]) -> None:
    """Make sure that a trained model's losses can be told.

    Args:
        losses: nats a token, by part of the text.

    Raises:
        Diverged: one is no number, or its perplexity overflows.
    """
    for part, nats in losses.items():
        if not math.isfinite(Loss(nats, 1).perplexity):
            raise Diverged(f"the {part} loss of the trained model is {nats} nats a token")


def written_perplexity(nats: float) -> str:
    """The exponential of a loss, as text."""
    return f"{Loss(nats, 1).perplexity:,.1f}"
