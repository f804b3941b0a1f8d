"""A causal transformer decoder in plain torch.

Shapes: B sequences, T tokens, V words, D width, h heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Causal attention and a feed-forward network, each after a layer norm and with a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, T, D), and the probabilities of attention (B, h, T, T)."""
        steps = x.shape[1]
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, h, T, D / h)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        future = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        attention = scores.masked_fill(future, float("-inf")).softmax(-1)
        x = x + self.out((attention @ v).transpose(1, 2).flatten(2))
        return x + self.down(self.up(self.norm2(x)).relu()), attention


class ToyDecoder(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, layers: int, width: int, heads: int, words: int, positions: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.positions = nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings (B, T, D) of tokens (B, T)."""
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        embedded: Tensor = self.embedding(tokens) + self.positions(steps)
        return embedded

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of the next token after each of tokens (B, T)."""
        x = self.embed(tokens)
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x) @ self.embedding.weight.t()
