"""Random weights for encoders, drawn from a seed: ELECTRA's distributions.

Linear maps, embeddings and convolutions are normal with deviation 0.02, layer norms one, biases
zero (Clark et al. 2020). Every tensor has a stream of its own, which follows from the seed and the
tensor's name; a smaller tensor of the same name holds the first numbers of the larger one's. So
what was drawn for one encoder serves the next, and filling one for scoring copies nothing: its
tensors are views of the drawn numbers.
"""

from __future__ import annotations

import zlib
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn

DEVIATION = 0.02


def fill(network: nn.Module, seed: int, share: bool, prefix: str = "") -> None:
    """Give a network on the meta device its weights, on the CPU.

    Args:
        network: its parameters' names say which are layer norms and biases.
        seed: from 0 to 2**32 - 1.
        share: whether tensors are views of the drawn numbers, which must then not be changed.
        prefix: of the names, where the network is a part of another.
    """
    for module_name, module in network.named_modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            full = ".".join(part for part in (prefix, module_name, name) if part)
            values = _values(full, parameter, seed)
            values = values if share else values.clone()
            module._parameters[name] = nn.Parameter(values, requires_grad=not share)


def _values(name: str, like: Tensor, seed: int) -> Tensor:
    if name.endswith("LayerNorm.weight"):
        return torch.ones(like.shape)
    if name.endswith("bias"):
        return torch.zeros(like.shape)
    return _DRAWS.take(seed, name, like.numel()).view(like.shape)


class _Draws:
    """The numbers drawn so far for one seed, by the tensor's name."""

    def __init__(self) -> None:
        self._seed: int | None = None
        self._drawn: dict[str, Tensor] = {}
        self._lock = Lock()

    def take(self, seed: int, name: str, size: int) -> Tensor:
        """The first numbers of a tensor's stream."""
        with self._lock:
            if seed != self._seed:
                self._seed, self._drawn = seed, {}
            drawn = self._drawn.get(name)
            if drawn is None or len(drawn) < size:
                drawn = self._drawn[name] = _draw(seed, name, size)
            return drawn[:size]


def _draw(seed: int, name: str, size: int) -> Tensor:
    # numpy draws its normal numbers one by one, so that fewer are the first of more.
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return torch.from_numpy(generator.standard_normal(size, dtype=np.float32)).mul_(DEVIATION)


_DRAWS = _Draws()
