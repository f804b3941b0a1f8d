"""Random weights for encoders, drawn from a seed: ELECTRA's distributions.

Linear maps, embeddings and convolutions are normal with deviation 0.02, layer norms one, biases
zero (Clark et al. 2020). Every tensor has a stream of its own, see `spaces.streams`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archscout.spaces.streams import Streams


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
    return _STREAMS.take(seed, name, like.numel()).view(like.shape)


_STREAMS = Streams()
