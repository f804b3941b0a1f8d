"""Which tokens are hidden, and by what.

Source: Clark et al. 2020, "ELECTRA", and its released code: of a sequence's tokens a fixed share is
chosen, always as many, never `[CLS]`, `[SEP]`, `[MASK]` or padding; of the chosen ones 85 % become
`[MASK]`, and the others stay as they are but have to be predicted, too. Here no position is chosen
twice, which in the released code may happen.

Shapes: N sequences, T positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from archscout.text import WordPiece
from archscout.text.wordpiece_training import CLS, MASK, PAD, SEP

COVERED_SHARE = 0.85


def kept_ids(tokenizer: WordPiece) -> Tensor:
    """Ids of the pieces that are never chosen, (4,)."""
    return torch.tensor([tokenizer.id_of(piece) for piece in (PAD, CLS, SEP, MASK)])


class MaskedBatch(NamedTuple):
    """Sequences with some tokens hidden.

    Attributes:
        inputs: token ids (N, T), `[MASK]` among them.
        originals: token ids (N, T).
        chosen: (N, T), whether a token is to be predicted.
        draws: (N, T), uniform random numbers from 0 to 1, for what a generator fills in.
        present: (N, T), whether there is a token and not padding; None for everywhere.
    """

    inputs: Tensor
    originals: Tensor
    chosen: Tensor
    draws: Tensor
    present: Tensor | None

    def part(self, rows: slice) -> MaskedBatch:
        """Some of the sequences."""
        return self._map(lambda x: x[rows])

    def to(self, device: torch.device) -> MaskedBatch:
        """The same on a device."""
        return self._map(lambda x: x.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> MaskedBatch:
        return MaskedBatch(
            change(self.inputs),
            change(self.originals),
            change(self.chosen),
            change(self.draws),
            None if self.present is None else change(self.present),
        )

    @property
    def num_chosen(self) -> int:
        """Tokens that are to be predicted."""
        return int(self.chosen.sum())

    @property
    def num_tokens(self) -> int:
        """Tokens that are there."""
        return self.originals.numel() if self.present is None else int(self.present.sum())


class Masking:
    """Hides tokens of sequences.

    Args:
        tokenizer: of the sequences.
        share: of a sequence's tokens that are chosen, `[CLS]` and `[SEP]` counted; at least one.
    """

    def __init__(self, tokenizer: WordPiece, share: float) -> None:
        self._share = share
        self._mask_token, self._padding = tokenizer.mask_token, tokenizer.id_of(PAD)
        self._kept = kept_ids(tokenizer)

    def mask(self, sequences: Tensor, seed: int, covered_share: float) -> MaskedBatch:
        """Choose tokens and cover them; the same seed and sequences give the same batch.

        Args:
            sequences: token ids (N, T), on the CPU.
            seed: of the choice.
            covered_share: of the chosen tokens that become `[MASK]`.
        """
        generator = torch.Generator().manual_seed(seed)
        # Each random number has a use of its own, and all are drawn for every position: which
        # sequences are processed together then makes no difference.
        order, cover, draws = torch.rand(3, *sequences.shape, generator=generator)
        eligible = ~torch.isin(sequences, self._kept)
        present = sequences != self._padding
        wanted = (present.sum(1, keepdim=True) * self._share).round().clamp(min=1)
        ranks = order.masked_fill(~eligible, 2.0).argsort(1).argsort(1)
        chosen = (ranks < wanted) & eligible
        covered = chosen & (cover < covered_share)
        return MaskedBatch(
            sequences.masked_fill(covered, self._mask_token),
            sequences,
            chosen,
            draws,
            None if bool(present.all()) else present,
        )
