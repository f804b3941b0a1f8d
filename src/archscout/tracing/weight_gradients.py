"""Gradients of the weights of linear maps, collected while a backward pass goes by."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from archscout.recording import DECODER, Linear, Recorder
from archscout.tracing.differentiation import Collector
from archscout.tracing.quantities import WeightGradient
from archscout.tracing.steps import stacked


class WeightGradients(Collector):
    """Gradients of weights, each made of its outputs' gradient as soon as that is there.

    So neither outputs nor their gradients are held for all layers at once.
    """

    def __init__(self, linears: Sequence[Linear]) -> None:
        super().__init__(linears)
        self._found: dict[int, Tensor] = {}

    def _see(self, index: int, gradient: Tensor) -> None:
        inputs = self._linears[index].inputs
        assert inputs is not None
        self._found[index] = gradient.flatten(0, -2).t() @ stacked(inputs).detach().flatten(0, -2)

    def of_targets(self, gradients: dict[int, Tensor]) -> None:
        """Take over the gradients of weights that autograd was asked for."""
        for i, linear in enumerate(self._linears):
            if linear.inputs is None and linear.stored is not None and linear.part is not None:
                self._found[i] = linear.part(gradients[id(linear.stored)])
            elif linear.inputs is None:
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
