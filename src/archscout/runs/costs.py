"""What an architecture costs to run: parameters, FLOPs, latency and memory, and to generate text.

Parameters, FLOPs and memory follow from shapes alone and are taken on the meta device, without
weights; latency is measured.
"""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archscout import counting
from archscout.errors import InputError
from archscout.recording import count_outside_embeddings
from archscout.spaces.base import CachingSpace, CountingSpace, Scale, SizedSpace, Space


class Cost(NamedTuple):
    """A kind of cost.

    Attributes:
        unit: in which it is said.
        limit: how one may be written, beside a plain number.
        cached: whether only networks with a key/value cache have it.
    """

    unit: str
    limit: str = ""
    cached: bool = False

    @property
    def is_timed(self) -> bool:
        """Whether it is measured by the clock."""
        return self.unit == "ms"


COSTS: Mapping[str, Cost] = {
    "parameters": Cost(""),
    "non_embedding_parameters": Cost(""),
    "flops": Cost("per token"),
    "latency": Cost("ms", "5ms"),
    "memory": Cost("bytes", "50MB"),
    "prefill_latency": Cost("ms", "20ms", cached=True),
    "token_latency": Cost("ms", "5ms", cached=True),
    "cache_memory": Cost("bytes", "50MB", cached=True),
}
"""All costs, in the order in which tables have them."""

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
        names: some of `COSTS`: `parameters` (frozen ones too, tied ones once);
            `non_embedding_parameters` (without tables of embeddings, as the space counts its size
            where it has one); `flops` (floating-point operations per token, by torch's own counter:
            multiplications and additions counted apart, of matrix products and convolutions);
            `latency` (milliseconds of one step for one sequence on the device: a token, or, of an
            encoder, the whole sequence; median of 15 after 3 to warm up); `memory` (bytes of the
            weights and of the tensors alive at the worst moment of one step at the scale's batch
            size). Of networks with a key/value cache, for a text of the scale's length:
            `prefill_latency` (milliseconds of reading all but its last token at once, one
            sequence), `token_latency` (milliseconds of generating one token after, by reading the
            last), and `cache_memory` (bytes of the weights, and of the cache and the other tensors
            alive at the worst moment of generating one token at the scale's batch size).
        device: where latency is measured.

    Raises:
        InputError: a cost is of a key/value cache, and the space's networks have none, or the text
            is too short for one.
    """
    names = check(space, names)
    found: dict[str, float] = {}

    @cache
    def skeleton() -> nn.Module:
        return space.skeleton(architecture, vocabulary_size, scale).eval()

    for name in names:
        if name == "parameters":
            found[name] = (
                space.count_parameters(architecture, vocabulary_size, scale)
                if isinstance(space, CountingSpace)
                else sum(p.numel() for p in skeleton().parameters())
            )
        elif name == "non_embedding_parameters":
            found[name] = (
                space.size(architecture, scale)
                if isinstance(space, SizedSpace)
                else count_outside_embeddings(skeleton())
            )
        elif name == "flops":
            found[name] = _flops(space, skeleton(), scale)
        elif name == "memory":
            found[name] = _memory(space, skeleton(), scale)
        elif name == "cache_memory":
            found[name] = _cache_memory(_caching(space, scale), skeleton(), scale)
        else:
            network = space.build(architecture, vocabulary_size, scale, seed=0)
            with torch.inference_mode():
                step = _timed_step(name, space, network.to(device).eval(), scale)
                found[name] = _latency(step, device)
    return found


@dataclass(frozen=True)
class Meter:
    """Takes the same costs of one architecture after another; its fields are as of `measure`."""

    space: Space[Any]
    vocabulary_size: int
    scale: Scale
    names: Sequence[str]
    device: str = "cpu"

    def measure(self, architecture: Any) -> dict[str, float]:
        """The costs of an architecture."""
        return measure(
            self.space, architecture, self.vocabulary_size, self.scale, self.names, self.device
        )


def check(space: Space[Any], names: Iterable[str]) -> list[str]:
    """Names of costs, which the networks of a space have.

    Raises:
        InputError: one is of a key/value cache, and they have none.
    """
    names, accepted = list(names), available(space)
    for name in names:
        if name not in accepted:
            raise InputError(
                f"{name} is a cost of networks with a key/value cache, and those of space "
                f"{space.name} have none; accepted: {', '.join(accepted)}"
            )
    return names


def available(space: Space[Any]) -> list[str]:
    """The costs that the networks of a space have."""
    caches = isinstance(space, CachingSpace)
    return [name for name, cost in COSTS.items() if caches or not cost.cached]


def _caching(space: Any, scale: Scale) -> CachingSpace:
    """The space, for a scale at which there is something to cache."""
    if scale.sequence_length < 2:
        raise InputError(
            "sequence_length is 1, which leaves nothing to cache before the last token; from 2 up "
            "is accepted for costs of a key/value cache"
        )
    caching: CachingSpace = space
    return caching


def _flops(space: Space[Any], skeleton: nn.Module, scale: Scale) -> int:
    return counting.flops(lambda: space.step(skeleton, scale, 1)) // scale.step_tokens


def _memory(space: Space[Any], skeleton: nn.Module, scale: Scale) -> int:
    weights = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    with torch.no_grad(), _PeakMemory() as peak:
        space.step(skeleton, scale, scale.batch_size)
    return int(weights + peak.bytes)


def _cache_memory(space: CachingSpace, skeleton: nn.Module, scale: Scale) -> int:
    weights = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    with torch.no_grad(), _PeakMemory() as peak:
        cache = space.prefill(skeleton, scale, scale.batch_size)
        peak.bytes = 0  # what reading the text took is gone, but for the cache
        space.next_token(skeleton, cache, scale.batch_size)
    return int(weights + peak.bytes)


def _timed_step(
    name: str, space: Space[Any], network: nn.Module, scale: Scale
) -> Callable[[], object]:
    """What a latency is that of."""
    if name == "latency":
        return lambda: space.step(network, scale, 1)
    caching = _caching(space, scale)
    if name == "prefill_latency":
        return lambda: caching.prefill(network, scale, 1)
    cache = caching.prefill(network, scale, 1)
    return lambda: caching.next_token(network, cache, 1)


def _latency(step: Callable[[], object], device: str) -> float:
    times = []
    for _ in range(_WARM_UP + _REPEATS):
        start = time.perf_counter()
        step()
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
