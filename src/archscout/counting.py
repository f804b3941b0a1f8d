"""Counting what a network computes."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from archscout.errors import InputError

_LINEAR_MAPS = (nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)

Shape = Sequence[int]


def _product_with_vector(matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _added_product_with_vector(_added: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _added_products(_added: Shape, batch: Shape, other: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(batch) * other[-1]


def _grouped_product(rows: Shape, matrices: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(rows) * matrices[-1]


def _trilinear(first: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """A bilinear form x A y of each row: all x A, and their products with y."""
    outputs, inputs, others = weight
    return 2 * math.prod(first[:-1]) * outputs * (inputs + 1) * others


# Products of matrices that torch's counter has no formula for.
_MORE = {
    torch.ops.aten.mv: _product_with_vector,
    torch.ops.aten.addmv: _added_product_with_vector,
    torch.ops.aten.dot: _product_with_vector,
    torch.ops.aten.addbmm: _added_products,
    torch.ops.aten._trilinear: _trilinear,
}
if hasattr(torch.ops.aten, "_grouped_mm"):  # the lowest torch has none
    _MORE[torch.ops.aten._grouped_mm] = _grouped_product

# Of operations for which torch takes long to say it, what is known of the result without numbers.
_SHAPES: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.addmm.default: lambda _added, left, right, **_: left.mm(right),
    torch.ops.aten.gelu.default: lambda given, **_: torch.empty_like(given),
    torch.ops.aten.native_layer_norm.default: lambda given, axes, *_: (
        torch.empty_like(given, memory_format=torch.contiguous_format),
        *(given.new_empty((*given.shape[: -len(axes)], *[1] * len(axes))) for _ in range(2)),
    ),
}


class KnownShapes(TorchDispatchMode):
    """Makes what runs on the meta device take less time, and leaves the rest alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, operation: Any, types: Any, inputs: Any = (), keywords: Any = None
    ) -> Any:
        run = operation
        if operation in _SHAPES and inputs[0].is_meta:
            run = _SHAPES[operation]
        return run(*inputs, **(keywords or {}))


def flops(run: Callable[[], object]) -> int:
    """Floating-point operations of what runs, by torch's own counter.

    Multiplications and additions are counted apart, of matrix products and convolutions only.

    Args:
        run: runs a network, on any device, the meta device among them.

    Raises:
        InputError: linear maps ran, and none of what they computed could be counted.
    """
    ran: list[str] = []
    counter = FlopCounterMode(display=False, custom_mapping=_MORE)
    with _noting_linear_maps(ran), torch.no_grad(), unfused(), counter:
        run()
    total = int(counter.get_total_flops())
    if ran and not total:
        raise InputError(
            f"none of what its {ran[0]} computes could be counted; only matrix products and "
            "convolutions of torch are"
        )
    return total


def flops_of_tokens(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Those of a pass over token ids of this shape, counted on the meta device."""
    values = {name: torch.empty_like(p, device="meta") for name, p in network.named_parameters()}
    tokens = torch.zeros(shape, dtype=torch.long, device="meta")
    with KnownShapes():
        return flops(lambda: functional_call(network, values, (tokens,)))


@contextmanager
def _noting_linear_maps(ran: list[str]) -> Iterator[None]:
    """Append the class of every module with linear maps that runs."""

    def note(module: nn.Module, _inputs: Any, _output: Any) -> None:
        if isinstance(module, _LINEAR_MAPS):
            ran.append(type(module).__name__)

    with register_module_forward_hook(note):
        yield


@contextmanager
def unfused() -> Iterator[None]:
    """Without the fused kernels of attention and recurrent modules.

    Torch's counter does not know them all, and what it does not know counts nothing.
    """
    onednn: Any = torch.backends.mkldnn
    before = onednn.enabled, torch.backends.mha.get_fastpath_enabled()
    onednn.enabled = False
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        onednn.enabled = before[0]
        torch.backends.mha.set_fastpath_enabled(before[1])
