"""What the parts of a transformer do, seen in one run of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archscout.recorders.batch import first_tensor
from archscout.recorders.parts import hook_all
from archscout.recorders.structure import Attention, Layer, is_transposed

ATTENTION_ROLES = ("query", "key", "value")
_NAMES = {
    role: re.compile(rf"(^|_|w){role[0]}({role[1:]})?(_|$)", re.I) for role in ATTENTION_ROLES
}


@dataclass(frozen=True)
class RoleMap:
    """A linear map, and by role which columns of its outputs have it.

    The outputs are first brought in an order in which each role's stand together, if they do not.
    """

    module: nn.Module
    columns: Mapping[str, slice]
    order: Tensor | None = None

    @property
    def projects(self) -> bool:
        """Whether it has a query, a key or a value."""
        return not self.columns.keys().isdisjoint(ATTENTION_ROLES)

    @property
    def is_whole(self) -> bool:
        """Whether its gradient is that of one weight as autograd knows it."""
        return len(self.columns) == 1 and not is_transposed(self.module)


@dataclass
class _Call:
    """The first call of a linear map, and what its columns turned out to be."""

    linear: nn.Module
    input: Tensor
    output: Tensor
    # Of each column, the index of its role in `ATTENTION_ROLES`; None while nothing shows it.
    roles: Tensor | None = None

    def reads_with(self, other: _Call) -> bool:
        """Whether both read the same tensor, or views of it."""
        storages = [call.input.untyped_storage().data_ptr() for call in (self, other)]
        return storages[0] == storages[1]


class Look:
    """What one attention does during a run with gradients."""

    def __init__(self, attention: Attention) -> None:
        self.attention = attention
        # The innermost module that returned the probabilities and where, if any did.
        self.core: tuple[nn.Module, int] | None = None
        self.calls: list[_Call] = []  # of its linear maps, in order
        self._generator = torch.Generator().manual_seed(0)

    def watch(self, stack: ExitStack, time_first: Callable[[Tensor], Tensor]) -> None:
        """Look until the stack is closed."""
        for linear in self.attention.linears:
            hook_all(stack, [linear], self._see_linear, linear)
        for module in self.attention.inner:
            hook_all(stack, [module], self._see_core, module, time_first)

    def _see_linear(self, linear: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        # Parameters may be shared between layers: the first call is enough.
        if any(call.linear is linear for call in self.calls):
            return None
        # Noise, since gradients vanish where weights are zero or all positions are alike.
        noise = torch.randn(output.shape, generator=self._generator)
        output = output + 0.1 * noise.to(output)
        self.calls.append(_Call(linear, inputs[0], output))
        return output

    def _see_core(
        self, module: nn.Module, time_first: Callable[[Tensor], Tensor], _inputs: Any, output: Any
    ) -> None:
        index = None if self.core else _probabilities(output)
        if index is None:
            return
        self.core = module, index
        if not self.calls:
            return
        probabilities = output[index]
        weights = torch.linspace(0, 1, probabilities.shape[-1]).to(probabilities)
        gradients = torch.autograd.grad(
            (probabilities[..., -1, :] * weights).sum(),
            [call.output for call in self.calls],
            retain_graph=True,
            materialize_grads=True,
        )
        if not any(bool(gradient.any()) for gradient in gradients):
            return
        for call, gradient in zip(self.calls, gradients, strict=True):
            outputs = call.output
            # Only where the axes are known can positions be told apart.
            if outputs.dim() == 3 and time_first(outputs).shape[1] == len(probabilities):
                call.roles = _roles(time_first(gradient))

    def maps(self) -> list[RoleMap]:
        """The linear maps that took part, with their roles."""
        if not self.calls:
            return []
        first, last = self.calls[0], self.calls[-1]
        closing = None if last.reads_with(first) else last
        projections = [call for call in self.calls if call is not closing]
        if all(call.roles is None for call in projections):
            for call in projections:
                call.roles = self._by_name(call, closing, fused=len(projections) == 1)
        found = [_role_map(call.linear, call.roles) for call in projections]
        return found + ([RoleMap(closing.linear, {"output": slice(None)})] if closing else [])

    def _by_name(self, call: _Call, closing: _Call | None, fused: bool) -> Tensor | None:
        """The role of each column where no probabilities show it."""
        columns = call.output.shape[-1]
        if fused:
            # Queries are as wide as what closes the attention reads; keys and values may be less.
            width = columns // 3 if closing is None else closing.input.shape[-1]
            rest = (columns - width) // 2
            if rest < 1 or width + 2 * rest != columns:
                return None
            return torch.arange(3).repeat_interleave(torch.tensor([width, rest, rest]))
        path = next(n for n, m in self.attention.module.named_modules() if m is call.linear)
        for index, role in enumerate(ATTENTION_ROLES):
            if _NAMES[role].search(path.rpartition(".")[2]):
                return torch.full((columns,), index)
        return None


def _roles(effect: Tensor) -> Tensor:
    """Of each column, by the gradient (T, B, columns) of the last position's probabilities."""
    elsewhere = (effect[:-1] != 0).flatten(0, -2).any(0)
    anywhere = (effect != 0).flatten(0, -2).any(0)
    return torch.where(elsewhere, 1, torch.where(anywhere, 0, 2))


def _role_map(linear: nn.Module, roles: Tensor | None) -> RoleMap:
    if roles is None:
        return RoleMap(linear, {"": slice(None)})
    parts = {}
    start = 0
    for role, count in zip(ATTENTION_ROLES, roles.bincount(minlength=3).tolist(), strict=True):
        if count:
            parts[role] = slice(start, start + count)
        start += count
    order = roles.argsort(stable=True)
    in_place = bool((order == torch.arange(len(order), device=order.device)).all())
    return RoleMap(linear, parts, None if in_place else order)


def _probabilities(output: Any) -> int | None:
    """Where the tensor (B, heads, T, T) whose rows sum to one is in what a module returned."""
    for index, value in enumerate(output if isinstance(output, tuple | list) else ()):
        if isinstance(value, Tensor) and value.dim() == 4 and value.requires_grad:
            sums = value.detach().float().sum(-1)
            if bool((value >= 0).all()) and torch.allclose(sums, sums.new_ones(()), atol=1e-2):
                return index
    return None


@dataclass
class Survey:
    """What one run of a transformer showed of its parts."""

    # The module that embedded the input, if one did, and what it returned.
    embeddings: list[nn.Embedding] = field(default_factory=list)
    embedded: Tensor | None = None
    # Of each layer that ran, of each activation of one, and of queries, keys and values: the shape.
    states: list[tuple[nn.Module, tuple[int, ...]]] = field(default_factory=list)
    activations: list[tuple[nn.Module, tuple[int, ...]]] = field(default_factory=list)
    projections: list[tuple[int, ...]] = field(default_factory=list)
    maps: list[RoleMap] = field(default_factory=list)
    # Modules that return the probabilities of attention, one a layer, and where; layers without.
    cores: list[tuple[nn.Module, int]] = field(default_factory=list)
    missing: int = 0
    has_loss: bool = False

    def see_embedding(self, embedding: nn.Embedding, _inputs: Any, output: Tensor) -> None:
        """The first call is that of the minibatch, a later one that of a decoder."""
        if not self.embeddings:
            self.embeddings, self.embedded = [embedding], output.detach()

    def see_state(self, layer: Layer, _inputs: Any, output: Any) -> None:
        """A layer has run."""
        usable = isinstance(output, Tensor | tuple | list)
        shape = tuple(first_tensor(output).shape) if usable else ()
        self.states.append((layer.module, shape))

    def see_activation(self, layer: Layer, _inputs: Any, output: Tensor) -> None:
        """A feed-forward activation has run."""
        self.activations.append((layer.module, tuple(output.shape)))

    def add(self, layer: Layer, looks: Sequence[Look]) -> None:
        """What was seen of the attention of a layer, after the run."""
        for look in looks:
            maps = look.maps()
            outputs = {id(call.linear): call.output for call in look.calls}
            self.projections += [tuple(outputs[id(m.module)].shape) for m in maps if m.projects]
            self._add_maps(maps)
        self._add_maps(RoleMap(m, {"feed_forward": slice(None)}) for m in layer.feed_forward)
        cores = [look.core for look in looks if look.core is not None]
        self.cores += [core for core in cores[:1] if core not in self.cores]
        self.missing += bool(looks) and not cores

    def _add_maps(self, maps: Iterable[RoleMap]) -> None:
        # Layers may share modules, which must not be hooked twice.
        known = {id(part.module) for part in self.maps}
        self.maps += [part for part in maps if id(part.module) not in known]

    def why_no_states(self, axis: int, size: int) -> str | None:
        """Why hidden states cannot be recorded; `size` inputs must be on this axis."""
        for _, shape in self.states:
            if len(shape) != 3 or shape[axis] != size:
                return f"its blocks return {_described(shape)}, not hidden states by input"
        return None if self.states else "its blocks took no part in its forward"

    def why_no_activations(self) -> str | None:
        """Why feed-forward activations cannot be recorded."""
        by_layer = dict(self.states)
        for layer, shape in self.activations:
            if len(shape) != 3 or shape[:2] != by_layer.get(layer, ())[:2]:
                return (
                    f"an activation of its feed-forward blocks returns {_described(shape)}, not "
                    "one vector for each position of each input"
                )
        if self.activations:
            return None
        return "its feed-forward blocks have no activation modules (functions cannot be recorded)"

    def why_no_projections(self, axis: int, size: int) -> str | None:
        """Why queries, keys and values cannot be recorded; see `why_no_states`."""
        for shape in self.projections:
            if len(shape) != 3 or shape[axis] != size:
                return f"a projection of its attention returns {_described(shape)}"
        if self.projections:
            return None
        return "nothing shows which linear maps of its attention are query, key and value"

    def why_no_softmaxes(self) -> str | None:
        """Why the probabilities of attention cannot be recorded."""
        if not self.missing:
            return None if self.cores else "its attention took no part in its forward"
        if not self.cores:
            return "its attention returns no probabilities"
        layers = self.missing + len(self.cores)
        return f"the attention of {self.missing} of its {layers} layers returns no probabilities"


def _described(shape: tuple[int, ...]) -> str:
    return f"a tensor of shape {shape}" if shape else "no tensor"
