"""Counting what a network computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from archscout.errors import InputError

_LINEAR_MAPS = (nn.Linear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


def flops(run: Callable[[], object]) -> int:
    """Floating-point operations of what runs, by torch's own counter.

    Multiplications and additions are counted apart, of matrix products and convolutions only.

    Args:
        run: runs a network, on any device, the meta device among them.

    Raises:
        InputError: linear maps ran, and none of what they computed could be counted.
    """
    ran: list[str] = []
    counter = FlopCounterMode(display=False)
    with _noting_linear_maps(ran), torch.no_grad(), _unfused(), counter:
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
def _unfused() -> Iterator[None]:
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
