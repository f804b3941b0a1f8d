"""Gradients of the weights of linear maps, collected while a backward pass goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from archscout.recording import DECODER, Linear, Recorder
from archscout.tracing.quantities import WeightGradient
from archscout.tracing.steps import stacked


class WeightGradients:
    """Gradients of weights, taken while a backward pass goes by.

    A hook on a map's outputs turns their gradient into the weight's as soon as it is there, so
    that neither outputs nor their gradients are held for all layers at once.
    """

    def __init__(self, linears: Sequence[Linear]) -> None:
        self._linears = linears
        self._found: dict[int, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self.wanted = False
        # What autograd must be asked for: weights themselves, and outputs that nothing precedes.
        self.targets: list[Tensor] = []
        sharing: dict[int, list[int]] = {}
        for i, linear in enumerate(linears):
            if linear.outputs is None:
                self.targets.append(linear.weight)
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
            linear.outputs = None if linear.inputs is not None else linear.outputs

    def remove_hooks(self) -> None:
        """Let go of the graph, which refers to itself through the hooks and would stay."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, indices: Sequence[int], gradient: Tensor) -> None:
        if not self.wanted:
            return
        for i in indices:
            linear = self._linears[i]
            assert linear.inputs is not None
            of_outputs = gradient[..., linear.columns].flatten(0, -2)
            self._found[i] = of_outputs.t() @ stacked(linear.inputs).detach().flatten(0, -2)

    def of_targets(self, gradients: dict[int, Tensor]) -> None:
        """Take over the gradients of weights that autograd was asked for."""
        for i, linear in enumerate(self._linears):
            if linear.inputs is None:
                self._found[i] = gradients[id(linear.weight)]

    def take(self) -> list[WeightGradient]:
        """The gradients of the last backward pass; zero where the objective did not depend."""
        if not self.wanted:
            return []
        found, self._found, self.wanted = self._found, {}, False
        return [
            WeightGradient(
                linear.weight.detach(),
                found[i] if i in found else torch.zeros_like(linear.weight),
                linear.first_input,
                linear.role,
            )
            for i, linear in enumerate(self._linears)
        ]


def tied(
    recorder: Recorder,
    minibatch: Tensor,
    gradient: Tensor | None,
    weights: Iterable[WeightGradient],
) -> WeightGradient | None:
    """The gradient of the embedding's weight, with that of its use as a linear map, if any.

    Without such a use only the rows that the minibatch reads are returned; the others' is zero.
    """
    weight = recorder.tied_embedding
    if weight is None or gradient is None:
        return None
    tokens, index = minibatch.unique(return_inverse=True)
    rows = gradient.new_zeros(len(tokens), gradient.shape[-1])
    rows.index_add_(0, index.flatten(), gradient.flatten(0, -2))
    for used in weights:
        if used.weight.data_ptr() == weight.data_ptr():
            return WeightGradient(weight.detach(), used.gradient.index_add(0, tokens, rows))
    return WeightGradient(weight.detach()[tokens], rows)


def without_decoder(weights: Iterable[WeightGradient]) -> list[WeightGradient]:
    """The weights of the linear maps, without a decoder that a loss has run."""
    return [used for used in weights if used.role != DECODER]
