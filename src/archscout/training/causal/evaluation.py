"""How well a causal language model predicts a text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archscout.training.outcome import Loss

LossFunction = Callable[[Any, Tensor], Tensor]
"""Of a network and token ids (B, T + 1): the mean nats of each token but the first, given those
before it."""


@torch.no_grad()
def evaluate(
    network: nn.Module,
    loss: LossFunction,
    ids: Tensor,
    byte_lengths: Tensor,
    sequence_length: int,
    batch_size: int,
) -> Loss:
    """The loss on a text, in stretches one after another that know nothing of those before.

    Args:
        network: any; dropout is off, and its mode is left as it was.
        loss: of the network.
        ids: of the text, (N,), at least two.
        byte_lengths: of the tokens of the text, (N,), NaN where one stands for others.
        sequence_length: tokens that a stretch reads.
        batch_size: stretches that are read at once, which only the memory depends on.

    Returns:
        The loss over all tokens but the first, which nothing predicts.
    """
    mode, total = network.training, 0.0
    network.eval()
    for reads in batches(ids, sequence_length, batch_size):
        total += float(loss(network, reads)) * reads[:, 1:].numel()
    network.train(mode)
    num_bytes = float(byte_lengths[1:].sum())
    return Loss(
        nats=total / (len(ids) - 1),
        tokens=len(ids) - 1,
        bytes=None if math.isnan(num_bytes) else int(num_bytes),
    )


def batches(ids: Tensor, sequence_length: int, batch_size: int) -> list[Tensor]:
    """A text in stretches (B, T + 1), of which each begins with the last token of the one before.

    The last stretch, which may be shorter, stands alone.
    """
    whole = (len(ids) - 1) // sequence_length
    starts = torch.arange(whole, device=ids.device)[:, None] * sequence_length
    stretches = ids[starts + torch.arange(sequence_length + 1, device=ids.device)]
    rest = ids[whole * sequence_length :][None]
    found = [part for part in stretches.split(batch_size) if len(part)]
    return found + [rest] * (rest.shape[1] > 1)
