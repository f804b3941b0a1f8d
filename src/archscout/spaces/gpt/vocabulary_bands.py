"""Embeddings and softmax of tokens in bands by their frequency.

Sources: Baevski and Auli 2019, "Adaptive input representations for neural language modeling"; Grave
et al. 2017, "Efficient softmax approximation for GPUs".

Shapes: D the model's width, V tokens. Where there is one band, and it is as wide as the model, both
are what GPT-2 has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """Embeddings of tokens in bands, each as wide as its band and then projected.

    Args:
        ends: ids at which bands end, the last V.
        widths: of the bands.
        d_model: D.
        projected: whether they are projected; if not, there is one band of width D.
    """

    def __init__(
        self, ends: Sequence[int], widths: Sequence[int], d_model: int, projected: bool
    ) -> None:
        super().__init__()
        starts = [0, *ends[:-1]]
        self.spans = list(zip(starts, ends, strict=True))
        self.tables = nn.ModuleList(
            nn.Embedding(end - start, width)
            for (start, end), width in zip(self.spans, widths, strict=True)
        )
        self.projections = nn.ModuleList(
            nn.Linear(width, d_model, bias=False) for width in widths if projected
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) from ids (...)."""
        if len(self.tables) == 1:
            words: Tensor = self.tables[0](tokens)
            return self.projections[0](words) if self.projections else words
        # Every band embeds every token, and what is not of the band is dropped: so shapes do not
        # depend on the tokens.
        embedded = [
            project(table((tokens - start).clamp(0, end - start - 1)))
            * ((tokens >= start) & (tokens < end))[..., None]
            for (start, end), table, project in zip(
                self.spans, self.tables, self.projections, strict=True
            )
        ]
        return torch.stack(embedded).sum(0)

    def vectors(self, band: int) -> Tensor:
        """Of a band's tokens, as wide as they are kept."""
        table: Any = self.tables[band]
        weight: Tensor = table.weight
        return weight


class Head(nn.Module):
    """Logits of tokens, by the embedding that it is tied to, or by weights of its own.

    The first band's projection is its own, those of the others are the embedding's, as in
    LiteTransformerSearch, unless it is not tied. An adaptive softmax has a token for each further
    band among those of the first, and a softmax in each; what it returns are logarithms of
    probabilities.

    Args:
        d_model: D.
        tables: ids at which tables of the embedding end.
        widths: of these.
        projected: whether they are projected.
        ends: ids at which the bands of an adaptive softmax end; None where there is one softmax.
        tied: whether the embedding's weights are taken.
    """

    def __init__(
        self,
        d_model: int,
        tables: Sequence[int],
        widths: Sequence[int],
        projected: bool,
        ends: Sequence[int] | None,
        tied: bool,
    ) -> None:
        super().__init__()
        self.sizes = [end - start for start, end in pairwise([0, *ends])] if ends else []
        if projected:
            self.projection = nn.Linear(d_model, widths[0], bias=False)
        if ends is not None:
            self.bias = nn.Parameter(torch.zeros(ends[-1]))
            if len(ends) > 1:
                self.clusters = nn.Linear(widths[0], len(ends) - 1)
        if not tied:
            counts = [end - start for start, end in pairwise([0, *tables])]
            self.words = nn.ModuleList(
                nn.Linear(width, count, bias=False)
                for width, count in zip(widths, counts, strict=True)
            )
            self.projections = nn.ModuleList(
                nn.Linear(d_model, width, bias=False) for width in widths[1:]
            )

    def forward(self, hidden: Tensor, embedding: TokenEmbedding) -> Tensor:
        """(..., V) from hidden states (..., D)."""
        if not self.sizes:
            return F.linear(self._projected(hidden, embedding, 0), self._vectors(embedding, 0))
        first = self._first(hidden, embedding)  # with a column for each further band
        logarithms = [first[..., : self.sizes[0]]]
        for band in range(1, len(self.sizes)):
            inside = self._band(hidden, embedding, band).log_softmax(-1)
            column = self.sizes[0] + band - 1
            logarithms.append(first[..., column, None] + inside)
        return torch.cat(logarithms, -1)

    def loss(self, hidden: Tensor, targets: Tensor, embedding: TokenEmbedding) -> Tensor:
        """Mean cross-entropy of tokens (N,) by hidden states (N, D), a band's where it is meant."""
        if not self.sizes:
            return F.cross_entropy(self(hidden, embedding).float(), targets)
        first = self._first(hidden, embedding)
        ends = list(accumulate(self.sizes))[:-1]
        bands = torch.bucketize(targets, torch.tensor(ends, device=targets.device), right=True)
        columns = torch.where(bands == 0, targets, self.sizes[0] + bands - 1)
        total = -first.gather(-1, columns[:, None]).sum()
        for band, start in enumerate(ends, 1):
            chosen = (bands == band).nonzero()[:, 0]
            logits = self._band(hidden[chosen], embedding, band).float()
            total = total + F.cross_entropy(logits, targets[chosen] - start, reduction="sum")
        return total / len(targets)

    def _first(self, hidden: Tensor, embedding: TokenEmbedding) -> Tensor:
        """Logarithms of the probabilities of the first band's tokens and of the others."""
        logits = self._band(hidden, embedding, 0)
        if hasattr(self, "clusters"):
            others = self.clusters(self._projected(hidden, embedding, 0))
            logits = torch.cat([logits, others], -1)
        return logits.float().log_softmax(-1)

    def _band(self, hidden: Tensor, embedding: TokenEmbedding, band: int) -> Tensor:
        """Logits of a band's tokens."""
        start = sum(self.sizes[:band])
        span = slice(start, start + self.sizes[band])
        shared = len(embedding.tables) == 1
        weight = self._vectors(embedding, 0)[span] if shared else self._vectors(embedding, band)
        return F.linear(self._projected(hidden, embedding, band), weight, self.bias[span])

    def _vectors(self, embedding: TokenEmbedding, band: int) -> Tensor:
        """By which a band's tokens are told, (tokens, width)."""
        if not hasattr(self, "words"):
            return embedding.vectors(band)
        own: Any = self.words[band]
        weight: Tensor = own.weight
        return weight

    def _projected(self, hidden: Tensor, embedding: TokenEmbedding, band: int) -> Tensor:
        """Hidden states as wide as a band."""
        if not embedding.projections:
            return hidden
        table, is_tied = min(band, len(embedding.projections) - 1), not hasattr(self, "words")
        if band and is_tied:
            shared: Any = embedding.projections[table]
            narrowed: Tensor = hidden @ shared.weight
            return narrowed
        projected: Tensor = (self.projections[table - 1] if table else self.projection)(hidden)
        return projected
