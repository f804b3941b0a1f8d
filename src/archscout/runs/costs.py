"""What an architecture costs to run: parameters, FLOPs, latency and memory.

Parameters, FLOPs and memory follow from shapes alone and are taken on the meta device, without
weights; latency is measured.
"""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archscout import counting
from archscout.spaces.base import Scale, Space

UNITS = {"parameters": "", "flops": "per token", "latency": "ms", "memory": "bytes"}
COSTS = tuple(UNITS)

_WARM_UP = 3
_REPEATS = 15


def measure(
    space: Space[Any],
    architecture: Any,
    vocabulary_size: int,
    scale: Scale,
    names: Iterable[str],
    device: str = "cpu",
) -> dict[str, float]:
    """Costs of the network that an architecture describes at a scale.

    Args:
        space: the architecture's space.
        architecture: a genotype.
        vocabulary_size: V.
        scale: sizes of the network.
        names: some of `COSTS`: `parameters` (trainable, tied ones once); `flops` (floating-point
            operations per token, by torch's own counter: multiplications and additions counted
            apart, matrix products only); `latency` (milliseconds of one step for one sequence on
            the device: a token, or, of an encoder, the whole sequence; median of 15 after 3 to
            warm up); `memory` (bytes of the weights and of the tensors alive at the worst moment
            of one step at the scale's batch size).
        device: where latency is measured.
    """
    skeleton = space.skeleton(architecture, vocabulary_size, scale).eval()
    found: dict[str, float] = {}
    for name in names:
        if name == "parameters":
            found[name] = sum(p.numel() for p in skeleton.parameters() if p.requires_grad)
        elif name == "flops":
            found[name] = _flops(space, skeleton, scale)
        elif name == "memory":
            found[name] = _memory(space, skeleton, scale)
        elif name == "latency":
            network = space.build(architecture, vocabulary_size, scale, seed=0)
            found[name] = _latency(space, network.to(device).eval(), scale, device)
    return found


def _flops(space: Space[Any], skeleton: nn.Module, scale: Scale) -> int:
    return counting.flops(lambda: space.step(skeleton, scale, 1)) // scale.step_tokens


def _memory(space: Space[Any], skeleton: nn.Module, scale: Scale) -> int:
    weights = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    with torch.no_grad(), _PeakMemory() as peak:
        space.step(skeleton, scale, scale.batch_size)
    return int(weights + peak.bytes)


def _latency(space: Space[Any], network: nn.Module, scale: Scale, device: str) -> float:
    times = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + _REPEATS):
            start = time.perf_counter()
            space.step(network, scale, 1)
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[_WARM_UP:])


class _PeakMemory(TorchDispatchMode):
    """The largest sum of bytes of tensors that were made inside and alive together."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        inputs = {_storage_key(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and _storage_key(tensor) not in inputs:
                storage = tensor.untyped_storage()
                key = _storage_key(tensor)
                if key not in self._alive:
                    self._alive[key] = storage.nbytes()
                    weakref.finalize(storage, self._alive.pop, key, None)
        self.bytes = max(self.bytes, sum(self._alive.values()))
        return result


def _storage_key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
