"""Text that a decoder goes on with: each token is read once, and kept as keys and values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archscout.spaces.gpt.network import DecoderNetwork


class Cache:
    """Keys and values of the tokens that were read, by layer; made once for a longest text.

    The caches of transformers have the same methods.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._lengths: list[int] = []

    def get_seq_length(self) -> int:
        """How many tokens were read."""
        return self._lengths[0] if self._lengths else 0

    def update(self, key: Tensor, value: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Keep a layer's new keys and values, and return all: (B, k, S, d) each."""
        if layer == len(self._kept):
            shape = (*key.shape[:2], self.capacity, key.shape[-1])
            self._kept.append((key.new_empty(shape), value.new_empty(shape)))
            self._lengths.append(0)
        start, stop = self._lengths[layer], self._lengths[layer] + key.shape[2]
        if stop > self.capacity:
            raise ValueError(f"{stop} tokens; the cache holds {self.capacity}")
        keys, values = self._kept[layer]
        keys[:, :, start:stop], values[:, :, start:stop] = key, value
        self._lengths[layer] = stop
        return keys[:, :, :stop], values[:, :, :stop]

    def crop(self, length: int) -> None:
        """Forget all but the first so many tokens."""
        self._lengths = [length] * len(self._lengths)


def read(network: DecoderNetwork, tokens: Tensor, cache: Cache) -> Tensor:
    """Logits (B, V) of the token after texts, of which tokens (B, T) are read, and kept."""
    return network.logits(network.decode(tokens, cache=cache).last_hidden_state[:, -1])


@torch.no_grad()
def generate(
    network: DecoderNetwork,
    tokens: Tensor,
    count: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Append `count` tokens to texts (B, T); (B, T + count).

    Args:
        network: in evaluation mode.
        tokens: ids (B, T), at least one.
        count: of new tokens.
        temperature: by which logits are divided; 0 takes the likeliest token.
        top_k: so many of the likeliest tokens only.
        generator: of the draws, on the CPU.
    """
    cache = Cache(tokens.shape[1] + count)
    new = tokens
    for _ in range(count):
        logits = read(network, new, cache).float().cpu()
        new = _drawn(logits, temperature, top_k, generator).to(tokens.device)
        tokens = torch.cat([tokens, new], 1)
    return tokens


def _drawn(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    """A token (B, 1) by logits (B, V)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    # The likeliest stays at 0 however small the temperature is.
    scaled = (logits - logits.amax(-1, keepdim=True)).double() / temperature
    return torch.multinomial(scaled.softmax(-1).float(), 1, generator=generator)
