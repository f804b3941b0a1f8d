"""A network of magnitudes: what SynFlow sends an input of ones through.

Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving
synaptic flow", algorithm 1.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

_NORMALISATIONS = (
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
# What other libraries call their own: LlamaRMSNorm, T5LayerNorm, LayerNorm2d, ...
_NAMES = re.compile(r"(Layer|RMS|Batch|Group|Instance)Norm(\dd)?$")


@contextmanager
def linearised(network: nn.Module) -> Iterator[None]:
    """For a while, every parameter its absolute value in float64, and normalisation passed by.

    A softmax is passed by as well: it weighs alike what is not masked. Of equal positions that is
    what it does, while magnitudes grow so large that their rounding would decide where it looks.

    Buffers, such as masks and tables of positions, keep their values, in float64. Parameters stay
    the same objects, whose data changes. Afterwards the network holds the same tensors as before,
    whatever happened.
    """
    parameters = {id(p): p for p in network.parameters()}
    buffers = {id(b): b for b in network.buffers() if b.is_floating_point()}
    before = [(tensor, tensor.data) for tensor in (*parameters.values(), *buffers.values())]
    with ExitStack() as stack:
        for module in network.modules():
            if _normalises(module):
                stack.enter_context(module.register_forward_hook(_pass_by, with_kwargs=True))
        try:
            for tensor, data in before:
                changed = data.to(torch.float64, copy=True)
                tensor.data = changed.abs_() if id(tensor) in parameters else changed
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(_EqualWeights())
            yield
        finally:
            for tensor, data in before:
                tensor.data = data


def _normalises(module: nn.Module) -> bool:
    if isinstance(module, _NORMALISATIONS):
        return True
    # A layer may be named after the normalisation in it, such as LayerNormLSTM; it is more than
    # scales and shifts.
    alone = next(module.children(), None) is None
    return (
        alone
        and all(p.dim() <= 1 for p in module.parameters())
        and _NAMES.search(type(module).__name__) is not None
    )


def _pass_by(_module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], _o: Any) -> Any:
    return (*inputs, *keywords.values())[0]


class _EqualWeights(TorchDispatchMode):
    """Lets no softmax tell its inputs apart, and no gradient through it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, operation: Any, types: Any, inputs: Any = (), keywords: Any = None
    ) -> Any:
        if operation in (torch.ops.aten._softmax.default, torch.ops.aten._safe_softmax.default):
            return _equal_weights(inputs[0], inputs[1])
        if operation is torch.ops.aten._softmax_backward_data.default:
            return torch.zeros_like(inputs[0])
        return operation(*inputs, **(keywords or {}))


def _equal_weights(scores: Tensor, axis: int) -> Tensor:
    """The same for all scores along an axis, zero for those that a mask took out."""
    # Masks add the least number of a format, if not minus infinity.
    seen = (scores > torch.finfo(torch.float32).min / 2).to(scores)
    return seen / seen.sum(axis, keepdim=True).clamp_min(1)
