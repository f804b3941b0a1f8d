"""One forward pass, and the backward passes that share it."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from archscout.recording import Linear


class Collector:
    """What looks at the gradients of linear maps' outputs while a backward pass goes by.

    Args:
        linears: the maps; their outputs are let go of, and only hooks on them stay.
        taps: see `recording.Recording`.

    Attributes:
        wanted: whether it should look.
        targets: what autograd must be asked for: taps, weights of maps that cannot be looked at,
            and outputs that nothing precedes.
    """

    def __init__(self, linears: Sequence[Linear], taps: Sequence[Tensor] = ()) -> None:
        self.wanted = False
        self.targets = list(taps)
        self._linears = linears
        self._handles: list[RemovableHandle] = []
        sharing: dict[int, list[int]] = {}
        for i, linear in enumerate(linears):
            if linear.outputs is None:
                self.targets.append(linear.weight if linear.stored is None else linear.stored)
                continue
            if id(linear.outputs) not in sharing:
                sharing[id(linear.outputs)] = []
                hook = partial(self._hook, sharing[id(linear.outputs)])
                self._handles.append(linear.outputs.register_hook(hook))
                if linear.outputs.is_leaf:
                    self.targets.append(linear.outputs)
            sharing[id(linear.outputs)].append(i)
        # Only the hooks are needed from here on, not the values. Identities were, until now.
        for linear in linears:
            linear.outputs = None

    def remove_hooks(self) -> None:
        """Let go of the graph, which refers to itself through the hooks and would stay."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, indices: Sequence[int], gradient: Tensor) -> None:
        for i in indices if self.wanted else ():
            self._see(i, gradient[..., self._linears[i].columns])

    def _see(self, index: int, gradient: Tensor) -> None:
        """Take over the gradient of the outputs of one of the maps."""
        raise NotImplementedError

    def of_targets(self, gradients: dict[int, Tensor]) -> None:
        """Take over the gradients that autograd was asked for, by the target's identity."""


def gradients_of(
    objective: Tensor,
    others: Sequence[Tensor | None],
    collectors: Sequence[Collector] = (),
    retain_graph: bool = False,
) -> dict[int, Tensor]:
    """Gradients of a scalar by the identity of the tensor, zero where it does not depend on it.

    They are those of the collectors' targets, and of the others that are not None. The graph is to
    be retained where another backward pass follows.
    """
    wanted = [*others, *(target for collector in collectors for target in collector.targets)]
    targets = list({id(target): target for target in wanted if target is not None}.values())
    reachable = [target for target in targets if target.requires_grad]
    for collector in collectors:
        collector.wanted = True
    found: dict[int, Tensor] = {}
    if objective.requires_grad and reachable:
        gradients = torch.autograd.grad(
            objective, reachable, retain_graph=retain_graph, materialize_grads=True
        )
        found = dict(zip(map(id, reachable), gradients, strict=True))
    found |= {id(t): torch.zeros_like(t) for t in targets if id(t) not in found}
    for collector in collectors:
        collector.of_targets(found)
    return found
