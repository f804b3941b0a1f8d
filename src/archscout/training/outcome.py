"""What any training comes to: a loss, or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

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
        bytes: of the text that these tokens are; None where they are no text, as masked ones are,
            or some stand for words that they do not name, as `<unk>` does.
    """

    nats: float
    tokens: int
    bytes: int | None = None

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

    @property
    def bits_per_byte(self) -> float | None:
        """The loss in bits a byte of the text, which does not depend on how it is cut to tokens."""
        return self.bits * self.tokens / self.bytes if self.bytes else None

    def logged(self, part: str) -> dict[str, float]:
        """What trackers are told of a part of the text."""
        told = {f"loss/{part}": self.nats, f"perplexity/{part}": self.perplexity}
        if self.bits_per_byte is not None:
            told[f"bits per byte/{part}"] = self.bits_per_byte
        return told


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


def written_bits(bits_per_byte: float | None) -> str:
    """A loss in bits a byte, to follow its perplexity; nothing where there is none."""
    return "" if bits_per_byte is None else f", {bits_per_byte:.3f} bits per byte"


def bits_per_byte(losses: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """By part of a text, where result.json has it for that part."""
    found = {part: at.get("bits_per_byte") for part, at in losses.items()}
    return {part: bits for part, bits in found.items() if bits is not None}
