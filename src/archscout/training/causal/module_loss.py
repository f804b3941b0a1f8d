"""How a module gives its loss for token ids, and what is made sure of before it is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archscout.recorders.returned import first_tensor, named_values
from archscout.training.outcome import Untrainable

# Of the largest change of the logits, what is no change: other rows of a product round differently.
_NOTHING = 1e-5


@dataclasses.dataclass(frozen=True)
class NextToken:
    """The loss of a module that returns logits: the mean nats of each next token.

    Attributes:
        words: V, among which the next token is.
        is_time_first: whether the module reads token ids (T, B) and not (B, T).
    """

    words: int
    is_time_first: bool = False

    def __call__(self, module: nn.Module, ids: Tensor) -> Tensor:
        """Of token ids (B, T + 1), each but the first given those before it."""
        logits = self.logits(module, ids[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    def logits(self, module: nn.Module, ids: Tensor) -> Tensor:
        """(B, T, V), of token ids (B, T).

        Raises:
            Untrainable: the module returns something else.
        """
        reads = ids.t() if self.is_time_first else ids
        output = module(reads)
        named = dict(named_values(output)).get("logits")
        logits = named if isinstance(named, Tensor) else first_tensor(output)
        wanted = (*reads.shape, self.words)
        if tuple(logits.shape) != wanted or not logits.is_floating_point():
            raise Untrainable(
                f"the module {type(module).__name__} returned {logits.dtype} of shape "
                f"{tuple(logits.shape)} for token ids {tuple(reads.shape)}: accepted are logits of "
                f"the next of {self.words:,} tokens after each, {wanted}, as a tensor or as "
                "`logits` of what is returned"
            )
        return logits.transpose(0, 1) if self.is_time_first else logits


@dataclasses.dataclass(frozen=True)
class OwnLoss:
    """A user's loss function, whose result is looked at.

    Attributes:
        function: of a module and token ids (B, T + 1).
    """

    function: Callable[[Any, Tensor], Tensor]

    def __call__(self, module: nn.Module, ids: Tensor) -> Tensor:
        """The mean nats of a token.

        Raises:
            Untrainable: it returned something else.
        """
        found = self.function(module, ids)
        name = getattr(self.function, "__name__", type(self.function).__name__)
        if not isinstance(found, Tensor) or found.numel() != 1 or not found.is_floating_point():
            what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)
            raise Untrainable(
                f"the loss function {name} returned {what:.80} for token ids {tuple(ids.shape)}: "
                "accepted is a tensor of one number, the mean nats of a token"
            )
        if torch.is_grad_enabled() and not found.requires_grad:
            raise Untrainable(
                f"the loss function {name} returned a tensor without a gradient: accepted is one "
                "that is computed from the module's parameters"
            )
        return found.reshape(())


@torch.no_grad()
def next_token_loss(module: nn.Module, words: int, length: int, device: str) -> NextToken:
    """The loss by a module's logits, once it has been seen how it reads texts.

    It is run on other tokens in one text, and at the end of all: what changes shows which axis
    counts texts, and that no token is read before it is predicted.

    Args:
        module: on its device; its weights and mode are left alone.
        words: V.
        length: T, tokens of a text.
        device: where it is.

    Raises:
        Untrainable: it cannot read such texts, does not return logits, lets texts act on each
            other, or reads the token that it is to predict.
    """
    generator = torch.Generator().manual_seed(0)
    count = 2 if length != 2 else 3  # so that the axes differ
    ids = torch.randint(words, (count, length), generator=generator)
    ids[0, 0] = words - 1
    ids, mode = ids.to(device), module.training
    with torch.random.fork_rng(devices=[]):
        try:
            module.eval()
            found = _try(module, ids, words)
        finally:
            module.train(mode)
    return found


def _try(module: nn.Module, ids: Tensor, words: int) -> NextToken:
    try:
        NextToken(words).logits(module, ids)  # which makes parameters that are made late
    except (IndexError, TypeError, ValueError) as error:
        if isinstance(error, Untrainable):
            raise
        raise Untrainable(
            f"the module {type(module).__name__} cannot read token ids {tuple(ids.shape)} below "
            f"{words:,}: {type(error).__name__}: {error}"
        ) from error
    # Behind a layer of zeros, with which some begin, nothing would show.
    zeros = [p for p in module.parameters() if not p.any()]
    try:
        for parameter in zeros:
            parameter.normal_(std=0.1)
        return _seen(module, ids, words)
    finally:
        for parameter in zeros:
            parameter.zero_()


def _seen(module: nn.Module, ids: Tensor, words: int) -> NextToken:
    """How a module reads texts, by what changes in its logits."""
    other, later = ids.clone(), ids.clone()
    other[0] = (ids[0] + 1) % words  # of the first step, too, which may act on all
    later[:, -1] = (ids[:, -1] + 1) % words
    for loss in (NextToken(words), NextToken(words, is_time_first=True)):
        if not _touched(loss, module, ids, other)[1:].any():
            break
    else:
        raise Untrainable(
            f"the module {type(module).__name__} lets the texts of a batch act on each other, read "
            "as (B, T) and as (T, B): accepted is one that reads each by itself"
        )
    if _touched(loss, module, ids, later)[:, :-1].any():
        raise Untrainable(
            f"the module {type(module).__name__} reads the tokens that it is to predict: accepted "
            "is one whose output at a token depends on that token and those before it alone"
        )
    return loss


def _touched(loss: NextToken, module: nn.Module, before: Tensor, after: Tensor) -> Tensor:
    """Where the logits change, (B, T)."""
    change = loss.logits(module, after) - loss.logits(module, before)
    size = change.abs().nan_to_num(0.0, 0.0).amax(-1)
    return size > _NOTHING * size.max()
