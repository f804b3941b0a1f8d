"""Random weights that follow from a seed and a tensor's name, drawn once for many networks.

Every tensor has a stream of its own; a smaller tensor of the same name holds the first numbers of
the larger one's. So what was drawn for one network serves the next, and filling one for scoring
copies nothing: its tensors are views of the drawn numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from threading import Lock

import numpy as np
import torch
from torch import Tensor

DEVIATION = 0.02
"""Of the drawn numbers, which are normal: that of GPT-2, BERT and ELECTRA."""


class Streams:
    """The numbers drawn so far for one seed, by the tensor's name.

    Args:
        draw: the first numbers of a stream, from the seed, the name and how many; normal ones of
            deviation `DEVIATION` by default.
    """

    def __init__(self, draw: Callable[[int, str, int], Tensor] | None = None) -> None:
        self._draw = draw
        self._seed: int | None = None
        self._drawn: dict[str, Tensor] = {}
        self._lock = Lock()

    def take(self, seed: int, name: str, size: int) -> Tensor:
        """The first numbers of a tensor's stream, not to be changed."""
        with self._lock:
            if seed != self._seed:
                self._seed, self._drawn = seed, {}
            drawn = self._drawn.get(name)
            if drawn is None or len(drawn) < size:
                drawn = self._drawn[name] = (self._draw or _draw)(seed, name, size)
            return drawn[:size]


def _draw(seed: int, name: str, size: int) -> Tensor:
    # numpy draws its normal numbers one by one, so that fewer are the first of more.
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return torch.from_numpy(generator.standard_normal(size, dtype=np.float32)).mul_(DEVIATION)
