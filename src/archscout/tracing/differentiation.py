"""One forward pass, and the backward passes that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Collector(Protocol):
    """What looks at a backward pass while it goes by.

    Attributes:
        wanted: whether it should look.
        targets: what autograd must be asked for, so that the pass goes by what is looked at.
    """

    wanted: bool
    targets: list[Tensor]

    def of_targets(self, gradients: dict[int, Tensor]) -> None:
        """Take over the gradients that autograd was asked for, by the target's identity."""


def gradients_of(
    objective: Tensor,
    others: Sequence[Tensor | None],
    collectors: Sequence[Collector] = (),
    retain_graph: bool = False,
) -> dict[int, Tensor]:
    """Gradients by the identity of the tensor, zero where the objective does not depend on it.

    Args:
        objective: a scalar.
        others: what gradients are wanted of; None is passed over.
        collectors: what looks at the backward pass.
        retain_graph: whether another backward pass follows.
    """
    wanted = [*others, *(target for collector in collectors for target in collector.targets)]
    targets = list({id(target): target for target in wanted if target is not None}.values())
    reachable = [target for target in targets if target.requires_grad]
    gradients: Sequence[Tensor | None] = [None] * len(reachable)
    for collector in collectors:
        collector.wanted = True
    if objective.requires_grad and reachable:
        gradients = torch.autograd.grad(
            objective, reachable, retain_graph=retain_graph, allow_unused=True
        )
    found = {id(t): g for t, g in zip(reachable, gradients, strict=True) if g is not None}
    found = {id(target): found.get(id(target), torch.zeros_like(target)) for target in targets}
    for collector in collectors:
        collector.of_targets(found)
    return found
