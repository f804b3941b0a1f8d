"""What the parts of a transformer do, seen in one run of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archscout.recorders.observation import Observation
from archscout.recorders.parts import hook_all
from archscout.recorders.returned import tensors_of
from archscout.recorders.structure import Attention, Layer, is_transposed
from archscout.recording import Linear

ATTENTION_ROLES = ("query", "key", "value")
_NAMES = {
    role: re.compile(rf"(^|_|w){role[0]}({role[1:]})?(_|$)", re.I) for role in ATTENTION_ROLES
}


# Of what a linear map returned (T, B, columns); None where its axes are not known.
TimeFirst = Callable[[nn.Module, Tensor], Tensor | None]


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

    def weights(self) -> list[Linear]:
        """For the trace, each role's by itself."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        if len(self.columns) == 1 and not is_transposed(self.module):
            return [Linear(weight, role=role) for role in self.columns]
        return [
            Linear(part(weight), role=role, stored=weight, part=part)
            for role, part in ((r, partial(self._part, c)) for r, c in self.columns.items())
        ]

    def _part(self, columns: slice, stored: Tensor) -> Tensor:
        weight = stored.t() if is_transposed(self.module) else stored
        return (weight if self.order is None else weight[self.order])[columns]


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

    def __init__(self, attention: Attention, seen: Observation) -> None:
        self.attention = attention
        self._named = named_parts(attention, seen)
        # The innermost module that returned the probabilities and where, if any did.
        self.core: tuple[nn.Module, int] | None = None
        self.heads: int | None = None
        self.calls: list[_Call] = []  # of its linear maps, in order
        self._generator = torch.Generator().manual_seed(0)

    def watch(self, stack: ExitStack, time_first: TimeFirst) -> None:
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
        self, module: nn.Module, time_first: TimeFirst, _inputs: Any, output: Any
    ) -> None:
        index = None if self.core else _probabilities(output)
        if index is None:
            return
        self.core = module, index
        self.heads = output[index].shape[1]
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
            # Only where the axes are known can positions be told apart.
            by_step = time_first(call.linear, gradient)
            if by_step is not None and by_step.shape[1] == len(probabilities):
                call.roles = _roles(by_step)

    def maps(self) -> list[RoleMap]:
        """The linear maps that took part, with their roles."""
        if self._named:
            return self._named
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


def named_parts(attention: Attention, seen: Observation) -> list[RoleMap]:
    """A map for each of query, key and value by name, and one that runs after them; or nothing."""
    ran = [m for m in dict.fromkeys(attention.linears) if seen.ran(m)]
    if len(ran) != len(ATTENTION_ROLES) + 1:
        return []
    ran.sort(key=lambda module: seen.order[id(module)])
    paths = {m: name.rpartition(".")[2] for name, m in attention.module.named_modules()}
    found = []
    for module in ran[:-1]:
        roles = [role for role in ATTENTION_ROLES if _NAMES[role].search(paths[module])]
        if len(roles) != 1 or seen.calls[id(module)] != seen.calls[id(ran[-1])]:
            return []
        columns = slice(0, seen.shapes[id(module)][0][-1])
        found.append(RoleMap(module, {roles[0]: columns}))
    names = {role for part in found for role in part.columns}
    if len(names) != len(ATTENTION_ROLES):
        return []
    return [*found, RoleMap(ran[-1], {"output": slice(None)})]


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


class MixLook:
    """Whether a part of a layer without attention lets positions act on each other."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.mixes = False
        self._entering: Tensor | None = None

    def watch(self, stack: ExitStack, steps: Callable[[nn.Module, str], int | None]) -> None:
        """Look until the stack is closed."""
        hook_all(stack, [self.module], self._see, steps)

    def _see(self, steps: Callable[[nn.Module, str], int | None], inputs: Any, output: Any) -> None:
        entering = next(tensors_of(inputs), None)
        returned = next(tensors_of(output), None)
        read, given = steps(self.module, "in"), steps(self.module, "out")
        if entering is None or returned is None or read is None or given is None:
            return
        if not (entering.requires_grad and returned.requires_grad) or self.mixes:
            return
        for here, others in ((-1, slice(None, -1)), (0, slice(1, None))):
            end = returned.select(given, here)
            noise = torch.randn(end.shape, generator=torch.Generator().manual_seed(0)).to(end)
            (gradient,) = torch.autograd.grad(
                (end * noise).sum(), entering, retain_graph=True, materialize_grads=True
            )
            self.mixes |= bool(gradient.movedim(read, 0)[others].any())


@dataclass
class Survey:
    """What one run of a transformer showed of its parts."""

    maps: list[RoleMap] = field(default_factory=list)
    # Modules of layers without attention, by identity, inside which positions act on each other.
    mixing: set[int] = field(default_factory=set)

    def add(self, layer: Layer, looks: Sequence[Look], mixing: Collection[nn.Module]) -> None:
        """What was seen of the attention of a layer, after the run."""
        for look in looks:
            self._add_maps(look.maps())
        self.mixing |= {id(m) for module in mixing for m in module.modules()}
        roles = ["" if id(m) in self.mixing else "feed_forward" for m in layer.feed_forward]
        self._add_maps(
            RoleMap(m, {role: slice(None)})
            for m, role in zip(layer.feed_forward, roles, strict=True)
        )

    def _add_maps(self, maps: Iterable[RoleMap]) -> None:
        # Layers may share modules, which must not be hooked twice.
        known = {id(part.module) for part in self.maps}
        self.maps += [part for part in maps if id(part.module) not in known]


@dataclass
class Cores:
    """Modules that return the probabilities of attention, and where."""

    found: list[tuple[nn.Module, int]] = field(default_factory=list)
    heads: int | None = None
    # Layers whose attention returns none.
    missing: int = 0

    def add(self, looks: Sequence[Look]) -> None:
        """Those of a layer: one."""
        cores = [look.core for look in looks if look.core is not None]
        self.found += [core for core in cores[:1] if core not in self.found]
        self.heads = next((look.heads for look in looks if look.heads), self.heads)
        self.missing += bool(looks) and not cores

    def why_none(self) -> str | None:
        """Why the probabilities of attention cannot be recorded."""
        if not self.missing:
            return None if self.found else "its attention took no part in its forward"
        if not self.found:
            return "its attention returns no probabilities"
        layers = self.missing + len(self.found)
        return f"the attention of {self.missing} of its {layers} layers returns no probabilities"
