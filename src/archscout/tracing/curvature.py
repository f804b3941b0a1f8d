"""The product of an objective's Hessian with its gradient, by differentiating twice.

Source: Wang et al. 2020, "Picking winning tickets before training by preserving gradient flow"
(GraSP), equation 8.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from archscout.recording import Recorder
from archscout.rounding import rounding
from archscout.tracing.objectives import Differentiated
from archscout.tracing.quantities import WeightGradient
from archscout.tracing.steps import parts_of, stacked

# How many times as much as a plain pass autograd holds for differentiating twice.
_COPIES = 2


def hessian_gradient_products(
    recorder: Recorder, minibatch: Tensor, wanted: Differentiated
) -> list[WeightGradient]:
    """θ and H g for each parameter θ that holds weights of linear maps, as it is stored.

    H is the Hessian of the objective in all of them, g its gradient, both of the whole minibatch.
    The objective is a sum over inputs, and so is H: it is multiplied a part of the inputs at a
    time.

    With G the gradient of a map's outputs and X its inputs, g is Σ Gᵀ X over steps, and its product
    with a constant d is Σ G · (X dᵀ), whose gradient is H d: what follows from X dᵀ for G and from
    G d for X. So gradients of weights, which a recurrent network would add up step by step, are
    needed only once.

    Products that are no more than rounding of their terms, which are as large as g², are zero.
    """
    weights = recorder.linear_parameters()
    size = recorder.inputs_at_once(minibatch, frozenset({wanted.field}), _COPIES)
    parts = parts_of(minibatch.shape[1], size)
    with torch.enable_grad(), _twice_differentiable(), _requiring_gradients(weights):
        directions: dict[int, Tensor] = {}
        if len(parts) > 1:
            for inputs in parts:
                _add_gradients(directions, _uses(recorder, minibatch, wanted, inputs, False))
        products: list[Tensor] = []
        for inputs in parts:
            uses = _uses(recorder, minibatch, wanted, inputs, True)
            if len(parts) == 1:
                _add_gradients(directions, uses)
            if changes := _changes(directions, uses):
                changing, along = zip(*changes, strict=True)
                added = torch.autograd.grad(changing, weights, along, materialize_grads=True)
                sums = (p + a for p, a in zip(products, added, strict=True))
                products = list(sums if products else added)
    norms = (torch.linalg.vector_norm(g, dtype=torch.float64) for g in directions.values())
    square = sum(float(norm) ** 2 for norm in norms)
    products = products or [torch.zeros_like(weight) for weight in weights]
    found = [WeightGradient(w.detach(), p) for w, p in zip(weights, products, strict=True)]
    for entry in found:
        terms = (entry.weight.double() * entry.gradient).abs_().sum()
        if float(terms) <= rounding(square, entry.gradient.dtype):
            entry.gradient = torch.zeros_like(entry.gradient)
    return found


@dataclass
class _Use:
    """One application of a linear map, of a parameter of this identity."""

    weight: int
    inputs: Tensor  # X, (rows, inputs)
    gradient: Tensor  # G, (rows, outputs)


def _uses(
    recorder: Recorder, minibatch: Tensor, wanted: Differentiated, inputs: slice, twice: bool
) -> list[_Use]:
    """What all maps read and the gradients of what they return, with a graph if `twice`."""
    fields = frozenset({"linear_uses", wanted.field})
    recording = recorder.record(minibatch[:, inputs], fields)
    objective = wanted.of(recording, inputs)
    outputs = {
        id(use.outputs): use.outputs for use in recording.linear_uses if use.outputs is not None
    }
    gradients: Iterable[Tensor] = map(torch.zeros_like, outputs.values())
    if objective.requires_grad:
        gradients = torch.autograd.grad(
            objective, list(outputs.values()), create_graph=twice, materialize_grads=True
        )
    found = dict(zip(outputs, gradients, strict=True))
    return [
        _Use(id(use.weight), *_rows(stacked(use.inputs), found[id(use.outputs)][..., use.columns]))
        for use in recording.linear_uses
        if use.inputs is not None
    ]


def _rows(inputs: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """X and G as rows, in the order in which X lies in memory, so that it need not be copied."""
    if inputs.dim() > 2 and inputs.transpose(0, -2).is_contiguous():
        inputs, gradient = inputs.transpose(0, -2), gradient.transpose(0, -2)
    return inputs.flatten(0, -2), gradient.flatten(0, -2)


def _add_gradients(gradients: dict[int, Tensor], uses: Iterable[_Use]) -> None:
    """Add Σ Gᵀ X to the gradients (outputs, inputs) of the maps by their weights' identities."""
    for use in uses:
        added = use.gradient.detach().t() @ use.inputs.detach()
        gradients[use.weight] = gradients[use.weight] + added if use.weight in gradients else added


def _changes(directions: Mapping[int, Tensor], uses: Iterable[_Use]) -> list[tuple[Tensor, Tensor]]:
    """What Σ G · (X dᵀ) over all maps depends on, each G and X, and its gradient there."""
    changes = []
    for use in uses:
        d, inputs, gradient = directions[use.weight], use.inputs.detach(), use.gradient.detach()
        if use.gradient.requires_grad:
            changes.append((use.gradient, inputs @ d.t()))
        if use.inputs.requires_grad:
            changes.append((use.inputs, gradient @ d))
    return changes


@contextmanager
def _requiring_gradients(weights: Sequence[Tensor]) -> Iterator[None]:
    unmarked = [weight for weight in weights if not weight.requires_grad]
    try:
        for weight in unmarked:
            weight.requires_grad_(True)
        yield
    finally:
        for weight in unmarked:
            weight.requires_grad_(False)


@contextmanager
def _twice_differentiable() -> Iterator[None]:
    """Without the fused kernels of attention and recurrent modules, which have one gradient."""
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield
