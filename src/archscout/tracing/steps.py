"""Tensors that a network computes step by step, and passes that take its inputs in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import torch
from torch import Tensor


class StackedSteps(Sequence[Tensor]):
    """Tensors (T, B, H), each put together from its steps only while it is looked at."""

    def __init__(self, *parts: Sequence[Tensor | Sequence[Tensor]]) -> None:
        # Of each part of the inputs the tensors, as (T, part of B, H) or as T of these.
        self._parts = parts

    def changed(self, change: Callable[[Any], Any]) -> StackedSteps:
        """The same after a change of each list of tensors."""
        return StackedSteps(*(change(list(part)) for part in self._parts))

    def __len__(self) -> int:
        return len(self._parts[0]) if self._parts else 0

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> StackedSteps: ...
    def __getitem__(self, index: int | slice) -> Tensor | StackedSteps:
        if isinstance(index, slice):
            return StackedSteps(*(part[index] for part in self._parts))
        return joined([stacked(part[index]) for part in self._parts])


def stacked(steps: Tensor | Sequence[Tensor]) -> Tensor:
    """All steps in one tensor (T, B, H)."""
    return steps if isinstance(steps, Tensor) else torch.stack(list(steps))


def tensors(steps: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors of a graph that a layer's states are: all steps in one, or each its own."""
    return [steps] if isinstance(steps, Tensor) else steps


def detached(steps: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    """The same without their graph, stacked or not as they were."""
    return steps.detach() if isinstance(steps, Tensor) else [step.detach() for step in steps]


def joined(parts: Sequence[Tensor]) -> Tensor:
    """What was found on parts of the inputs, (T, part of B, H) each, as (T, B, H)."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)


def parts_of(batch_size: int, size: int) -> list[slice]:
    """Which inputs each pass takes."""
    starts = range(0, batch_size, size)
    return [slice(start, min(start + size, batch_size)) for start in starts]
