"""Random weights for decoders, drawn from a seed: the distributions of `network.deviation`.

Every tensor has a stream of its own, see `spaces.streams`, so decoders share what they have in
common: what differs between their scores is not the luck of the draw.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archscout.spaces.gpt.network import DecoderNetwork, deviation
from archscout.spaces.streams import DEVIATION, Streams


def fill(network: DecoderNetwork, seed: int, share: bool, depth: int | None = None) -> None:
    """Give a network on the meta device its weights, on the CPU.

    Args:
        network: on the meta device.
        seed: from 0 to 2**32 - 1.
        share: whether tensors are views of the drawn numbers, which must then not be changed.
        depth: the number of layers that are filled; all by default.
    """
    layers = len(network.layers)
    skipped = [f"layers.{i}." for i in range(layers if depth is None else depth, layers)]
    for module_name, module in network.named_modules():
        if f"{module_name}.".startswith(tuple(skipped)):
            continue
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            full = f"{module_name}.{name}"
            values = _values(full, parameter, seed, layers)
            values = values if share else values.clone()
            module._parameters[name] = nn.Parameter(values, requires_grad=not share)


def _values(name: str, like: Tensor, seed: int, layers: int) -> Tensor:
    wanted = deviation(name, like.shape, layers)
    if wanted is None:
        return torch.full(like.shape, 0.0 if name.endswith("bias") else 1.0)
    drawn = _STREAMS.take(seed, name, like.numel()).view(like.shape)
    return drawn if wanted == DEVIATION else drawn * (wanted / DEVIATION)


_STREAMS = Streams()
