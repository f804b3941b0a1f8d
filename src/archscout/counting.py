"""Counting what a network computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def flops(run: Callable[[], object]) -> int:
    """Floating-point operations of what runs, by torch's own counter.

    Multiplications and additions are counted apart, of matrix products and convolutions only.

    Args:
        run: runs a network, on any device, the meta device among them.
    """
    with torch.no_grad(), _without_onednn(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Without its fused recurrent kernels, which torch's counter does not know."""
    onednn: Any = torch.backends.mkldnn
    before = onednn.enabled
    onednn.enabled = False
    try:
        yield
    finally:
        onednn.enabled = before


def without_values(network: nn.Module) -> dict[str, Tensor]:
    """The network's parameters on the meta device, for `torch.func.functional_call`."""
    return {name: torch.empty_like(p, device="meta") for name, p in network.named_parameters()}
