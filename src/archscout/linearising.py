"""A network of magnitudes: what SynFlow sends an input of ones through.

Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving
synaptic flow", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

# Whatever a library calls its own: RMSNorm, LayerNorm, BatchNorm1d, ...
_NORMALISATIONS = ("LayerNorm", "RMSNorm", "BatchNorm", "GroupNorm", "InstanceNorm")


@contextmanager
def linearised(network: nn.Module) -> Iterator[None]:
    """For a while, every parameter its absolute value in float64, and normalisation passed by.

    Buffers, such as masks and tables of positions, keep their values, in float64. Afterwards the
    network holds the same tensors as before, whatever happened.

    Args:
        network: any module. Parameters stay the same objects, whose data changes.
    """
    parameters = {id(p): p for p in network.parameters()}
    buffers = {id(b): b for b in network.buffers() if b.is_floating_point()}
    before = [(tensor, tensor.data) for tensor in (*parameters.values(), *buffers.values())]
    with ExitStack() as stack:
        for module in network.modules():
            if any(name in type(module).__name__ for name in _NORMALISATIONS):
                stack.enter_context(module.register_forward_hook(lambda _m, given, _o: given[0]))
        try:
            for tensor, data in before:
                tensor.data = data.double().abs() if id(tensor) in parameters else data.double()
            yield
        finally:
            for tensor, data in before:
                tensor.data = data
